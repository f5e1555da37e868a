"""Linking a corpus chunk by chunk."""

import json
from pathlib import Path

from kepipe.linking.corpus.chunks import Job, build_linker
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
        tmp_path / "documents.jsonl", tmp_path, tmp_path / "graph", tmp_path / "linker", "en", None, False, 0.0,
        complete=False, fuzzy=None,
    )  # fmt: skip
    build_linker(job, max_candidates=20, min_length=2)
    casing = Linker.open(job.linker).casing
    assert casing.common("It") > 0.5
    assert casing.common("Rome") == 0.0
