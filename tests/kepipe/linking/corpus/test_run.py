"""Linking a corpus chunk by chunk."""

import shutil
from pathlib import Path

import pytest

from kepipe.files import remove
from kepipe.linking.corpus.job import AnnotatorChoice, Chunk, Job, cut
from kepipe.linking.corpus.run import build_linker
from kepipe.linking.linker import Linker
from kepipe.linking.text.casing import count_spellings
from kg.schema import Entity, Relation, Triple
from kg.writer import write_graph


def test_common_words_are_counted_in_descriptions_too(tmp_path: Path) -> None:
    """Else "It" at the beginning of its only sentence would be Italy."""
    entities = [
        Entity("IT", "Italy", ("It", "it"), "country; it is a peninsula, and in the south of it lie islands"),
        Entity("R", "Rome", (), "capital of Italy; a river runs through it"),
    ]
    write_graph(tmp_path / "graph", entities, [Relation("r", "r")], {"train": [Triple("R", "r", "IT")]})
    job = Job(
        tmp_path / "documents.jsonl", tmp_path, tmp_path / "graph", AnnotatorChoice("en", None, False), 0.0,
        complete_gold=False, fuzzy=None,
    )  # fmt: skip
    build_linker(job, count_spellings(["It rains in Rome."]), max_candidates=20, min_length=2)
    casing = Linker.open(job.linker).casing
    assert casing.common("It") > 0.5
    assert casing.common("Rome") == 0.0


def test_chunks_end_at_line_breaks(tmp_path: Path) -> None:
    file = tmp_path / "documents.jsonl"
    file.write_bytes(b"".join((b"a" * 6 + b"\n", b"b" * 6 + b"\n", b"c" * 20 + b"\n", b"d\n")))
    assert list(cut(file, size=10)) == [Chunk(0, 0, 14, 0), Chunk(1, 14, 35, 2), Chunk(2, 35, 37, 3)]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    entities = [Entity("R", "Rome", (), "town"), Entity("IT", "Italy", (), "country")]
    write_graph(tmp_path / "graph", entities, [Relation("r", "r")], {"train": [Triple("R", "r", "IT")]})
    return Job(
        tmp_path / "documents.jsonl", tmp_path, tmp_path / "graph", AnnotatorChoice("en", None, False), 0.0,
        complete_gold=False, fuzzy=None,
    )  # fmt: skip


def test_a_later_attempt_reuses_the_linker(job: Job) -> None:
    build_linker(job, {}, max_candidates=20, min_length=2)
    shutil.rmtree(job.graph)
    build_linker(job, {}, max_candidates=20, min_length=2)
    assert len(Linker.open(job.linker).knowledge.ids) == 2


@pytest.mark.parametrize("damaged", ["linker", "linker/linker.json", "linker/casing"])
@pytest.mark.parametrize("how", ["gone", "cut off", "other"])
def test_a_damaged_linker_of_an_earlier_attempt_is_rebuilt(job: Job, damaged: str, how: str) -> None:
    build_linker(job, {}, max_candidates=20, min_length=2)
    place = job.scratch / damaged
    remove(place)
    if how != "gone":
        place.write_text("{" if how == "cut off" else "[1]")
    build_linker(job, {}, max_candidates=20, min_length=2)
    assert {*Linker.open(job.linker).knowledge.labels} == {"Rome", "Italy"}
