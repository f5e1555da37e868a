"""A graph with entity names but without facts."""

from __future__ import annotations

from pathlib import Path

import pytest

from kg.names_only import NAMED, names_only_graph
from kg.schema import Entity, Relation, Triple
from kg.store import Graph, open_graph
from kg.writer import GraphWriter, write_graph

ENTITIES = [
    Entity("a", "Alpha", ("First",), "the first", ("letter",)),
    Entity("b", "Beta"),
    Entity("c", "Gamma"),
    Entity("d", "Delta"),
]
FACTS = {
    "train": [Triple("a", "near", "b"), Triple("a", "of", "c"), Triple("b", "of", "a")],
    "test": [Triple("a", "near", "d"), Triple("c", "of", "d")],
}


@pytest.fixture
def true(tmp_path: Path) -> Graph:
    return write_graph(tmp_path / "true", ENTITIES, [Relation("near", "near"), Relation("of", "of")], FACTS)


def test_each_subject_has_one_reflexive_triple(true: Graph, tmp_path: Path) -> None:
    counts = names_only_graph(true, GraphWriter(tmp_path / "names"))
    names = open_graph(tmp_path / "names")
    assert [names.entity(row) for row in range(len(names))] == [true.entity(row) for row in range(len(true))]
    assert list(names.relations) == [NAMED]
    assert set(names.splits) == {"train", "test"}
    assert names.triples("train").tolist() == [[0, 0, 0], [1, 0, 1]]
    assert names.triples("test").tolist() == [[2, 0, 2]], "what one split says, no other repeats"
    assert counts == {"entities": 3}, "an entity is counted once, in however many splits it is"


def test_other_entities_have_no_triples(true: Graph, tmp_path: Path) -> None:
    names_only_graph(true, GraphWriter(tmp_path / "names"))
    names = open_graph(tmp_path / "names")
    said = {row for split in names.splits for row in names.triples(split)[:, [0, 2]].ravel().tolist()}
    assert true.row("d") not in said
