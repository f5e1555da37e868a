"""Annotations of earlier runs: only new texts are annotated, and the result has the same bytes."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kepipe.data.document import Document
from kepipe.data.document_files import read_documents, write_documents
from kepipe.linking.corpus import chunks
from kepipe.linking.corpus.job import AnnotatorChoice, Job
from kepipe.linking.corpus.memo import AnnotationMemo
from kepipe.linking.text.annotations import Annotations
from kepipe.linking.text.annotators import SpacyAnnotator
from kepipe.stages.artifacts import Corpus, Graph
from kepipe.stages.link import LINK, LinkConfig, LinkInputs, link
from kg.schema import Relation
from kg.writer import write_graph
from tests.support.linking import ENTITIES, TRIPLES
from tests.support.stages import run_stage

PLACES = ("Omaha", "Leeds", "Lincoln", "Boston", "York")
TEXTS = {
    f"d{number:02}": f"The old mayor of {PLACES[number % 5]} drove to {PLACES[(number + 2) % 5]}, and in "
    f"{1900 + number} he wrote {number} letters. Nobody answered the quick brown letters of {PLACES[number % 3]}."
    for number in range(30)
}


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    folder = tmp_path_factory.mktemp("graph")
    write_graph(folder, ENTITIES, [Relation("in", "in")], {"train": TRIPLES})
    return Graph(folder, "")


def run(
    graph: Graph, texts: dict[str, str], folder: Path, monkeypatch: pytest.MonkeyPatch, memo: Path | None
) -> tuple[dict[str, bytes], list[str]]:
    """The files that the stage writes, and the texts that spaCy was given."""
    given: list[str] = []
    annotate = SpacyAnnotator.annotate

    def listen(annotator: SpacyAnnotator, texts: Iterable[str]) -> Iterator[Annotations]:
        texts = list(texts)
        given.extend(texts)
        return annotate(annotator, texts)

    corpus = folder / "corpus"
    corpus.mkdir(parents=True)
    write_documents(corpus / "documents.jsonl", (Document(id, text) for id, text in texts.items()))
    (corpus / "corpus.json").write_text('{"held_out_share": 0.1}')
    inputs = LinkInputs(graph, Corpus(corpus, ""))
    with monkeypatch.context() as patch:
        patch.setattr(SpacyAnnotator, "annotate", listen)
        keeping = replace(LINK, run=lambda given, config, on: link(given, config, replace(on, memo=memo)))
        run_stage(keeping, inputs, LinkConfig(workers=1), folder)
    out = folder / "out"
    return {str(file.relative_to(out)): file.read_bytes() for file in out.rglob("*") if file.is_file()}, given


def test_incremental_linking_equals_linking_from_scratch(
    graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memo = tmp_path / "memo"
    before, given = run(graph, TEXTS, tmp_path / "first", monkeypatch, memo)
    assert given == list(TEXTS.values())
    now = {"a-first": "A new text about Omaha comes before all others.", **TEXTS}
    now["d07"] = "What was said of Leeds has changed."
    del now["d11"], now["d12"]
    anew, all_given = run(graph, now, tmp_path / "anew", monkeypatch, None)
    assert len(all_given) == 29
    grown, given = run(graph, now, tmp_path / "grown", monkeypatch, memo)
    assert given == [now["a-first"], now["d07"]]
    assert grown == anew != before
    again, given = run(graph, now, tmp_path / "again", monkeypatch, memo)
    assert (again, given) == (anew, [])
    linked = list(read_documents(tmp_path / "grown" / "out" / "documents.jsonl"))
    assert any(document.phrases for document in linked)
    assert any(document.mentions for document in linked)


def test_texts_of_a_damaged_cache_file_are_annotated_again(
    graph: Graph, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = dict(list(TEXTS.items())[:4])
    whole, _ = run(graph, texts, tmp_path / "first", monkeypatch, tmp_path / "memo")
    for number, (pattern, content) in enumerate(
        (("*.results", b"PK"), ("*.keys", b""), ("*.keys", b"\x93NUMPY"))
    ):
        (file,) = (tmp_path / "memo").glob(f"*/{pattern}")
        file.write_bytes(content)
        again, given = run(graph, texts, tmp_path / f"again-{number}", monkeypatch, tmp_path / "memo")
        assert (again, len(given)) == (whole, 4)


def test_rule_annotations_are_not_cached(graph: Graph, tmp_path: Path) -> None:
    assert not AnnotatorChoice("en", None, False).is_slow
    job = Job(tmp_path, tmp_path, graph.folder, AnnotatorChoice("en", None, False), 0.0, False, None)
    assert job.annotation_memo is None
    assert chunks._annotate(job, ["Omaha lies in Nebraska."])[1] == 0


def test_annotations_round_trip_for_every_annotator(tmp_path: Path) -> None:
    memo = AnnotationMemo(tmp_path / "memo", tmp_path / "index.npz")
    made = [Annotations(((0, 3),), ((0, 1),), ((1, 2),), ()), Annotations((), (), None, None)]  # type: ignore[arg-type]
    memo.add(["one", "two"], made)
    memo.add(["three"], made[1:])
    memo.add([], [])
    for file in memo.folder.iterdir():
        os.utime(file, (0, 0))
    memo.write_index()
    assert memo.find(["three"]) == [made[1]]
    assert sum(file.stat().st_mtime > 0 for file in memo.folder.iterdir()) == 2, (
        "what was not used can be removed"
    )
    assert memo.find(["three", "none", "one", "two", "one"]) == [made[1], None, made[0], made[1], made[0]]
