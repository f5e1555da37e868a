"""Linking a corpus chunk by chunk."""

import json
from pathlib import Path

from kepipe.linking.corpus.job import AnnotatorChoice, Chunk, Job, cut, open_chunks
from kepipe.linking.corpus.run import build_linker
from kepipe.linking.linker import Linker
from kg.schema import Entity, Relation, Triple
from kg.writer import write_graph


def test_a_small_corpus_learns_common_words_from_the_descriptions_too(tmp_path: Path) -> None:
    """Else "It" at the beginning of its only sentence would be Italy."""
    entities = [
        Entity("IT", "Italy", ("It", "it"), "country; it is a peninsula, and in the south of it lie islands"),
        Entity("R", "Rome", (), "capital of Italy; a river runs through it"),
    ]
    write_graph(tmp_path / "graph", entities, [Relation("r", "r")], {"train": [Triple("R", "r", "IT")]})
    (tmp_path / "documents.jsonl").write_text(json.dumps({"id": "1", "text": "It rains in Rome."}) + "\n")
    job = Job(
        tmp_path / "documents.jsonl", tmp_path, tmp_path / "graph", AnnotatorChoice("en", None, False), 0.0,
        complete_gold=False, fuzzy=None,
    )  # fmt: skip
    build_linker(job, max_candidates=20, min_length=2)
    casing = Linker.open(job.linker).casing
    assert casing.common("It") > 0.5
    assert casing.common("Rome") == 0.0


def test_chunks_are_whole_lines_cut_while_they_are_read(tmp_path: Path) -> None:
    lines = [b"a" * 6 + b"\n", b"b" * 6 + b"\n", b"c" * 20 + b"\n", b"d\n"]
    (tmp_path / "documents.jsonl").write_bytes(b"".join(lines))
    chunks: list[Chunk] = []
    assert list(cut(tmp_path / "documents.jsonl", chunks, size=10)) == lines
    assert chunks == [Chunk(0, 0, 14, 2), Chunk(1, 14, 35, 1), Chunk(2, 35, 37, 1)]


def test_a_later_attempt_finds_linker_and_chunks(tmp_path: Path) -> None:
    entities = [Entity("R", "Rome", (), "town"), Entity("IT", "Italy", (), "country")]
    write_graph(tmp_path / "graph", entities, [Relation("r", "r")], {"train": [Triple("R", "r", "IT")]})
    (tmp_path / "documents.jsonl").write_text(json.dumps({"id": "1", "text": "It rains in Rome."}) + "\n")
    job = Job(
        tmp_path / "documents.jsonl", tmp_path, tmp_path / "graph", AnnotatorChoice("en", None, False), 0.0,
        complete_gold=False, fuzzy=None,
    )  # fmt: skip
    chunks = build_linker(job, max_candidates=20, min_length=2)
    job.documents.unlink()
    assert build_linker(job, max_candidates=20, min_length=2) == chunks == open_chunks(job.chunks)
