import json
import re
import shutil
from pathlib import Path

import pytest

from kepipe.data.document import Document, Mention
from kepipe.data.document_files import held_out, read_documents, write_documents
from kepipe.flow.events import Event, Metrics, Noted
from kepipe.flow.stage import StageContext
from kepipe.linking.linker import Linker
from kepipe.linking.ranking.logistic_loss import logistic_loss
from kepipe.stages.artifacts import Corpus, Graph
from kepipe.stages.link import LinkConfig, LinkInputs, fingerprint, link
from kg.schema import Entity, Relation
from kg.writer import write_graph
from tests.support.linking import ENTITIES, TRIPLES
from tests.support.stages import count_parsed

FILLER = "Nothing of note happened there for many years. " * 300
RULES = LinkConfig(spacy_model=None, workers=1)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> LinkInputs:
    folder = tmp_path_factory.mktemp("inputs")
    for name in ("graph", "corpus"):
        (folder / name).mkdir()
    write_graph(folder / "graph", ENTITIES, [Relation("in", "in")], {"train": TRIPLES})
    write_documents(folder / "corpus" / "documents.jsonl", map(document, range(40)))
    (folder / "corpus" / "corpus.json").write_text('{"held_out_share": 0.1}')
    return LinkInputs(Graph(folder / "graph", ""), Corpus(folder / "corpus", ""))


def document(number: int) -> Document:
    """Mr York is not in the graph; Omaha and Leeds are."""
    text = f"Mr York left Omaha for Leeds in {number}.\n{FILLER}"
    gold = (Mention(3, 7, "Mr York"), Mention(13, 18, "omaha"), Mention(23, 28, "leeds"))
    return Document(f"d{number}", text, gold=gold)


def run(
    inputs: LinkInputs, config: LinkConfig, folder: Path, scratch: Path | None = None, device: str = "cpu"
) -> list[Event]:
    events: list[Event] = []
    out, scratch = folder / "out", scratch or folder / "scratch"
    out.mkdir(parents=True)
    scratch.mkdir(exist_ok=True)
    link(inputs, config, StageContext(out, scratch, 0, device, events.append))
    return events


def content(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_link_stage_links_trains_and_scores(
    inputs: LinkInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    devices: set[str] = set()
    monkeypatch.setattr(
        "kepipe.linking.ranking.ranker.logistic_loss",
        lambda *given: devices.add(given[-1]) or logistic_loss(*given),
    )
    events = run(inputs, RULES, tmp_path, device="mps")
    assert devices == {"mps"}, "the ranker is fitted on the pipeline's device"
    documents = list(read_documents(tmp_path / "out" / "documents.jsonl"))
    assert len(documents) == 40
    assert all(len(document.sentences) == 301 for document in documents)
    assert [mention.entity for mention in documents[0].mentions] == ["omaha", "leeds"]
    scores = json.loads((tmp_path / "out" / "scores.json").read_text())
    held = sum(held_out(f"d{number}") for number in range(40))
    assert scores["documents"] == {"held_out": held, "training": 40 - held}
    assert scores["trained"]
    assert scores["linker"]["f1"] == 1.0
    assert scores["baseline"]["precision"] == pytest.approx(2 / 3, abs=1e-6)
    assert scores["candidate_recall"] == 1.0
    logged = {
        name: value for event in events if isinstance(event, Metrics) for name, value in event.values.items()
    }
    assert (logged["linker.f1"], logged["mentions"]) == (1.0, 80)


def test_link_stage_is_bit_identical_for_any_number_of_workers(inputs: LinkInputs, tmp_path: Path) -> None:
    run(inputs, RULES, tmp_path / "one")
    run(inputs, RULES.model_copy(update={"workers": 2}), tmp_path / "two")
    assert content(tmp_path / "one" / "out") == content(tmp_path / "two" / "out")


def test_link_stage_parses_documents_once(
    inputs: LinkInputs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed = count_parsed(inputs.corpus.folder / "documents.jsonl", monkeypatch)
    run(inputs, RULES, tmp_path)
    assert len(list((tmp_path / "scratch").glob("linked-*"))) > 1
    assert len(parsed) == 40
    assert set(parsed.values()) == {1}


def test_link_stage_repeats_a_damaged_chunk(inputs: LinkInputs, tmp_path: Path) -> None:
    run(inputs, RULES, tmp_path / "whole")
    scratch = tmp_path / "whole" / "scratch"
    for lost in (*scratch.glob("linked-00001*"), *scratch.glob("counts-00001*")):
        lost.unlink()
    (scratch / "annotated-00001.npz").write_bytes(b"")
    run(inputs, RULES, tmp_path / "again", scratch)
    assert content(tmp_path / "again" / "out") == content(tmp_path / "whole" / "out")


def test_corpus_in_another_language_is_reported(inputs: LinkInputs, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "corpus.json").write_text('{"held_out_share": 0.1}')
    write_documents(
        tmp_path / "corpus" / "documents.jsonl", [Document("a", "木星是太阳系中体积最大的行星。" * 5)]
    )
    events = run(LinkInputs(inputs.graph, Corpus(tmp_path / "corpus", "")), RULES, tmp_path / "run")
    assert any(isinstance(event, Noted) and "looks like `zh`" in event.message for event in events)


def test_killed_link_stage_resumes_bit_identically(inputs: LinkInputs, tmp_path: Path) -> None:
    run(inputs, RULES, tmp_path / "whole")
    scratch = tmp_path / "whole" / "scratch"
    chunks = sorted(scratch.glob("linked-*.jsonl"))
    assert len(chunks) > 1
    left = tmp_path / "left"
    shutil.copytree(scratch, left)
    for lost in (*left.glob("linked-00001*"), *left.glob("counts-00001*"), *left.glob("annotated-00002*")):
        lost.unlink()
    (left / ".linked-00001.jsonl.unfinished").write_text("cut sho")
    kept = (left / "annotated-00000.npz").stat().st_mtime_ns
    run(inputs, RULES, tmp_path / "resumed", left)
    assert (left / "annotated-00000.npz").stat().st_mtime_ns == kept
    assert content(tmp_path / "resumed" / "out") == content(tmp_path / "whole" / "out")


def test_corpus_without_gold_links_is_linked_with_default_weights(inputs: LinkInputs, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus" / "corpus.json").write_text('{"held_out_share": 0.1}')
    write_documents(
        tmp_path / "corpus" / "documents.jsonl", [Document("a", "She moved from Omaha to Lincoln, Nebraska.")]
    )
    run(LinkInputs(inputs.graph, Corpus(tmp_path / "corpus", "")), RULES, tmp_path / "run")
    (document,) = read_documents(tmp_path / "run" / "out" / "documents.jsonl")
    assert [mention.entity for mention in document.mentions] == ["omaha", "lincoln-ne", "ne"]
    scores = json.loads((tmp_path / "run" / "out" / "scores.json").read_text())
    assert scores["linker"] == {}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            "John Smith met Smith. Smith and John Smith went home.",
            "names of the graph were found, .* is 'John Smith' .2 times in the first texts., which 3,000 entities have",
        ),
        ("Nobody met anybody.", "no name of the graph was found"),
    ],
)
def test_reason_for_linking_nothing_is_reported(tmp_path: Path, text: str, why: str) -> None:
    for name in ("graph", "corpus"):
        (tmp_path / name).mkdir()
    write_graph(tmp_path / "graph", [Entity(f"Q{n}", "John Smith") for n in range(3000)], [], {})
    write_documents(tmp_path / "corpus" / "documents.jsonl", [Document("a", text)])
    (tmp_path / "corpus" / "corpus.json").write_text('{"held_out_share": 0.1}')
    inputs = LinkInputs(Graph(tmp_path / "graph", ""), Corpus(tmp_path / "corpus", ""))
    told = [event.message for event in run(inputs, RULES, tmp_path / "run") if isinstance(event, Noted)]
    assert any(re.search(why, message) for message in told), told


def test_pronouns_need_english_ner() -> None:
    assert LinkConfig(ner=True, pronouns=True).pronouns
    with pytest.raises(ValueError, match="needs `language: en`, a `spacy_model` and `ner: true`"):
        LinkConfig(pronouns=True)


def test_a_dense_view_is_part_of_the_linker(inputs: LinkInputs, tmp_path: Path) -> None:
    config = LinkConfig(spacy_model=None, workers=1, train=False, dense={"steps": 2})  # type: ignore[arg-type]
    run(inputs, config, tmp_path / "first")
    run(inputs, config, tmp_path / "second")
    opened = Linker.open(tmp_path / "first" / "out" / "linker")
    assert opened.dense is not None
    assert opened.dense.origin == {"steps": 2}
    assert content(tmp_path / "first" / "out") == content(tmp_path / "second" / "out")
    assert fingerprint(config).keys() > fingerprint(RULES).keys()
