"""A retraining keeps the linker of its champion: only new and changed documents are linked, with the same result as
without links of earlier runs."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterable, Iterator
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from kepipe.config import cache_key_fields
from kepipe.data.document import Document, Mention
from kepipe.data.document_files import read_documents, write_documents
from kepipe.flow.artifact import seal
from kepipe.flow.events import Metrics, Noted
from kepipe.flow.stage import StageContext
from kepipe.linking.linker import Linker
from kepipe.stages.artifacts import Corpus, Graph, Model
from kepipe.stages.link import LINK, LinkConfig, LinkInputs, fingerprint, link
from kg.schema import Relation
from kg.writer import write_graph
from tests.support.linking import ENTITIES, TRIPLES
from tests.support.stages import run_stage

RULES = LinkConfig(spacy_model=None, workers=1)


def document(number: int) -> Document:
    text = f"Mr York left Omaha for Leeds in {number}. He came to lincoln late, and saw {number} lamps."
    gold = (Mention(13, 18, "omaha"), Mention(23, 28, "leeds")) if number < 40 else ()
    return Document(f"d{number}", text, gold=gold)


TEXT = [document(number) for number in range(50)]
GROWN = [
    Document("a", "A new text about Leeds comes first, and it says lincoln, york and boston."),
    *TEXT[:20],
    *TEXT[23:],
    document(50),
]
GROWN[8] = Document("d7", "What was written of Lincoln in Nebraska has changed.")
NEW = {"a", "d7", "d50"}


class Workspace:
    """A store with a graph, and runs of the stage `link`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.runs, self.messages = folder, 0, list[str]()
        self.graph = self.graph_of("graph", TRIPLES)
        self.linked: list[str] = []

    def graph_of(self, name: str, triples: list[Any]) -> Graph:
        (folder := self.folder / name).mkdir()
        write_graph(folder, ENTITIES, [Relation("in", "in")], {"train": triples})
        return Graph(folder, seal(folder, {}, ""))

    def run(
        self, documents: list[Document], start: Model | None, memo: str = "memo", **changed: Any
    ) -> dict[str, bytes]:
        """The content of what the stage makes. `changed`: another graph, share or setting."""
        self.runs += 1
        folder = self.folder / f"run-{self.runs}"
        (folder / "corpus").mkdir(parents=True)
        write_documents(folder / "corpus" / "documents.jsonl", documents)
        counts = {"held_out_share": changed.pop("share", 0.1), "documents": len(documents)}
        (folder / "corpus" / "corpus.json").write_text(json.dumps(counts))
        inputs = LinkInputs(changed.pop("graph", self.graph), Corpus(folder / "corpus", "corpus"), start)
        kept = self.folder / memo if memo else None

        def with_memo(inputs: LinkInputs, config: LinkConfig, context: StageContext) -> None:
            link(inputs, config, replace(context, memo=kept))

        events = run_stage(replace(LINK, run=with_memo), inputs, RULES.model_copy(update=changed), folder)
        self.messages = [event.message for event in events if isinstance(event, Noted)]
        self.counts = dict[str, float]()
        for event in events:
            self.counts |= event.values if isinstance(event, Metrics) else {}
        out = folder / "out"
        return {str(file.relative_to(out)): file.read_bytes() for file in out.rglob("*") if file.is_file()}

    @property
    def out(self) -> Path:
        """What the last run made."""
        return self.folder / f"run-{self.runs}" / "out"

    def model_of(self, name: str, **changed: Any) -> Model:
        """A model that was trained on the text that the last run linked."""
        store = self.folder / name / "store" / "done"
        shutil.copytree(self.out, store / "link")
        (store / "model").mkdir()
        made = {
            "stage": "link", "version": LINK.version, "seed": 0, "config": cache_key_fields(RULES),
            "inputs": {"graph": self.graph.digest}, "sources": dict(fingerprint(RULES)), **changed,
        }  # fmt: skip
        linked = seal(store / "link", made, "run")
        (store / "shards").mkdir()
        shards = seal(store / "shards", {"stage": "shards", "inputs": {"linked": linked}}, "run")
        (store / "model" / "kepipe.json").write_text(json.dumps({"shards": shards}))
        return Model(store / "model", "model", name="champion")


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """Its `linked` lists the texts that the linker is given in this process."""
    made, real = Workspace(tmp_path), Linker.link_all
    monkeypatch.setattr("kepipe.linking.corpus.job.cut.__defaults__", (1500,))

    def listen(linker: Linker, texts: Iterable[Any], *given: Any) -> Iterator[tuple[Mention, ...]]:
        texts = list(texts)
        made.linked.extend(text for text, *_ in texts)
        return real(linker, texts, *given)

    monkeypatch.setattr(Linker, "link_all", listen)
    return made


def test_only_new_and_changed_documents_are_linked(workspace: Workspace) -> None:
    first = workspace.run(TEXT, None)
    assert len(workspace.linked) == 50
    champion = workspace.model_of("first")
    linker = {name: content for name, content in first.items() if name.startswith("linker")}
    anew = workspace.run(GROWN, champion, memo="")
    workspace.linked.clear()
    grown = workspace.run(GROWN, champion)
    assert grown == anew
    assert linker.items() < grown.items()
    assert grown["scores.json"] != first["scores.json"]
    assert sorted(workspace.linked) == sorted(each.text for each in GROWN if each.id in NEW)
    assert "linked 3 new documents, 46 keep their links" in workspace.messages[-1]
    assert "the linker of `champion` is kept" in workspace.messages[0]
    assert "learned from 50 documents" in workspace.messages[0]
    assert (workspace.counts["linked_documents"], workspace.counts["kept_documents"]) == (3, 46)
    read = {each.id: each for each in read_documents(workspace.out / "documents.jsonl")}
    assert [*read] == [each.id for each in GROWN]
    assert [mention.entity for mention in read["a"].mentions] == ["leeds"]
    before = dict(zip((each.id for each in TEXT), first["documents.jsonl"].splitlines(), strict=True))
    now = dict(zip(read, grown["documents.jsonl"].splitlines(), strict=True))
    assert {id for id in now if now[id] != before.get(id)} == NEW
    workspace.linked.clear()
    later = workspace.run([*GROWN, document(60)], workspace.model_of("second"), workers=2)
    assert workspace.counts["kept_documents"] == 49, "links of a retraining whose linker was kept"
    assert workspace.run([*GROWN, document(60)], champion, memo="") == later
    relearned = workspace.run(GROWN, None)
    assert relearned["linker/casing/shares.npy"] != first["linker/casing/shares.npy"]


def test_a_new_linker_is_made_if_a_setting_changes_or_the_text_has_grown(workspace: Workspace) -> None:
    workspace.run(TEXT, None)
    champion = workspace.model_of("first")
    for changed, reason in (
        ({"threshold": 0.3}, "`threshold` has changed"),
        ({"share": 0.2}, "`held_out` of the corpus has changed"),
        ({"relearn": 0.9}, "made of 50 documents, and now there are 49"),
    ):
        made = workspace.run(GROWN, champion, **changed)
        assert reason in workspace.messages[0]
        assert workspace.counts["kept_documents"] == 0
    assert workspace.run(GROWN, None, memo="") == made


def test_a_new_linker_is_made_for_another_graph_version_or_unknown_text(workspace: Workspace) -> None:
    workspace.run(TEXT, None)
    champion = workspace.model_of("first")
    graph = workspace.graph_of("larger", TRIPLES[:-1])
    made = workspace.run(TEXT, champion, graph=graph)
    assert "the graph has changed" in workspace.messages[0]
    assert workspace.counts["kept_documents"] == 0
    assert workspace.run(TEXT, None, memo="", graph=graph) == made
    older = workspace.model_of("older", version=LINK.version - 1, seed=1)
    workspace.run(TEXT, older, memo="")
    assert (
        "the stage's version has changed, the spaCy pipeline, a model or the seed has"
        in workspace.messages[0]
    )
    (older.folder / "kepipe.json").write_text("{}")
    workspace.run(TEXT, older, memo="")
    assert workspace.messages[0] == "`champion` has no linked text in the store: a new linker is made"
    column = max(
        (champion.folder.parent / "link" / "linker").rglob("*.npy"), key=lambda file: file.stat().st_size
    )
    content = column.read_bytes()
    column.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))  # the format stays valid
    workspace.run(TEXT, champion, memo="")
    assert "the linker of `champion` cannot be used, and a new one is made" in workspace.messages[0]


def test_a_kill_while_links_are_stored_and_damage_change_nothing(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = workspace.run(TEXT, None)
    champion = workspace.model_of("first")
    for damaged in (workspace.folder / "memo").rglob("*.results"):
        damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")

    def run_and_die() -> None:
        writes, write = 0, Path.write_bytes

        def die(file: Path, content: bytes) -> int:
            nonlocal writes
            writes += file.name.endswith(".unfinished") and ".results" in file.name
            if writes == 2:
                write(file, content[: len(content) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            return write(file, content)

        monkeypatch.setattr(Path, "write_bytes", die)
        workspace.run(TEXT, champion)

    killed = get_context("fork").Process(target=run_and_die)
    killed.start()
    killed.join()
    assert killed.exitcode == -signal.SIGKILL
    scratch = workspace.folder / f"run-{workspace.runs + 1}" / "scratch"
    finished = len(list(scratch.rglob("linked-*")))
    assert finished == 1
    shutil.rmtree(scratch.parent)  # a run in another folder, as after a change of the text
    again = workspace.run(TEXT, champion)
    assert 0 < workspace.counts["kept_documents"] == 50 - workspace.counts["linked_documents"] < 50
    assert again["documents.jsonl"] == whole["documents.jsonl"]
    assert workspace.run(TEXT, champion, memo="") == again
