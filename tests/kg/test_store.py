"""The store returns the graph that was written, finds neighbours, and is deterministic."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kg.schema import Entity, Relation, Triple
from kg.store import Graph, UnknownEntityError, open_graph
from kg.writer import GraphWriter, write_graph

ENTITIES = [
    Entity("Q64", "Berlin", ("Berlino", "柏林"), "capital of Germany", ("city", "capital"), 3.4e6),
    Entity("Q183", "Germany", ("Deutschland",), "", ("country",), 8.3e7),
    Entity("Q1022", "Stuttgart", (), "", ("city",), 6e5),
]
RELATIONS = [Relation("P17", "country"), Relation("P36", "capital")]
TRAIN = [Triple("Q64", "P17", "Q183"), Triple("Q183", "P36", "Q64"), Triple("Q64", "P17", "Q183")]


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    held_out = [Triple("Q1022", "P17", "Q183"), Triple("Q64", "P17", "Q183")]
    return write_graph(tmp_path / "g", ENTITIES, RELATIONS, {"train": TRAIN, "test": held_out})


def test_entities_round_trip(graph: Graph) -> None:
    assert len(graph) == 3
    assert [graph.entity(row) for row in range(3)] == ENTITIES
    assert list(graph.ids) == ["Q64", "Q183", "Q1022"]
    assert graph.labels[1] == "Germany"
    assert graph.labels[-1] == "Stuttgart"
    assert graph.prior.tolist() == [3.4e6, 8.3e7, 6e5]
    assert [graph.row(entity.id) for entity in ENTITIES] == [0, 1, 2]
    assert graph.relations == RELATIONS
    assert graph.relation_row("P36") == 1


def test_an_unknown_id_is_named(graph: Graph) -> None:
    assert "Q64" in graph
    assert "Q65" not in graph
    with pytest.raises(UnknownEntityError, match=r"^no entity 'Q65' in the graph"):
        graph.row("Q65")


def test_types_of_entities_and_entities_of_types(graph: Graph) -> None:
    assert graph.type_names == ["capital", "city", "country"]
    assert graph.rows_of_type("city").tolist() == [0, 2]
    assert graph.rows_of_type("capital").tolist() == [0]
    assert graph.rows_of_type("river").tolist() == []


def test_triples_are_distinct_and_indexed(graph: Graph) -> None:
    assert graph.splits == ["train", "test"]
    assert graph.triples("train").tolist() == [[0, 0, 1], [1, 1, 0]]
    assert graph.triples("test").tolist() == [[2, 0, 1]]  # the other one is trained on
    assert graph.triples("valid").shape == (0, 3)
    assert graph.by_head(0).tolist() == [[0, 0, 1]]
    assert graph.by_tail(1).tolist() == [[0, 0, 1], [2, 0, 1]]
    assert graph.degrees.tolist() == [2, 3, 1]
    assert graph.describe() == {
        "entities": 3, "relations": 2, "types": 3, "aliases": 3, "triples": 3, "train": 2, "valid": 0, "test": 1,
    }  # fmt: skip


def test_a_graph_can_be_sent_to_another_process(graph: Graph) -> None:
    assert pickle.loads(pickle.dumps(graph)).entity(0) == ENTITIES[0]


def test_equal_graphs_have_equal_bytes(tmp_path: Path) -> None:
    write_graph(tmp_path / "a", ENTITIES, RELATIONS, {"train": TRAIN})
    write_graph(tmp_path / "b", ENTITIES, RELATIONS, {"train": reversed(TRAIN)})
    write_graph(tmp_path / "c", ENTITIES, RELATIONS, {"train": TRAIN[:1]})
    content = {name: {f.name: f.read_bytes() for f in (tmp_path / name).iterdir()} for name in "abc"}
    assert content["a"] == content["b"]
    assert open_graph(tmp_path / "a").digest != open_graph(tmp_path / "c").digest


def test_an_empty_graph_opens(tmp_path: Path) -> None:
    graph = GraphWriter(tmp_path).finish()
    assert len(graph) == 0
    assert list(graph.ids) == []
    assert "x" not in graph
    assert graph.triples().shape == (0, 3)


def test_duplicate_ids_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="duplicate entity 'Q64'"):
        write_graph(tmp_path, [ENTITIES[0], ENTITIES[0]], [], {})


def test_duplicate_triples_are_counted(tmp_path: Path) -> None:
    writer = GraphWriter(tmp_path)
    for entity in ENTITIES:
        writer.add_entity(entity)
    writer.add_relation(RELATIONS[0])
    writer.add_triples("train", np.array([[0, 0, 1], [2, 0, 1], [0, 0, 1]], np.int32))
    writer.add_triples("test", np.array([[0, 0, 1], [1, 0, 2], [2, 0, 1]], np.int32))
    assert writer.finish().describe()["triples"] == 3
    assert +writer.repeated == {"repeated triples": 1, "test triples that an earlier split has": 2}


def test_rows_of_many_ids(graph: Graph) -> None:
    ids = list(graph.ids)
    assert graph.rows([*reversed(ids), ids[0]]).tolist() == [2, 1, 0, 0]
    assert graph.rows([]).tolist() == []
    with pytest.raises(UnknownEntityError, match="'nobody'"):
        graph.rows([ids[0], "nobody"])


@pytest.mark.parametrize("name", ["prior.npy", "labels.utf8", "labels.offsets.npy", "by_head.npy"])
@pytest.mark.parametrize("harm", ["emptied", "cut", "gone"])
def test_a_damaged_column_is_named(graph: Graph, name: str, harm: str) -> None:
    file = graph.folder / name
    data = file.read_bytes()
    file.unlink()  # not written over: it may be mapped
    if harm != "gone":
        file.write_bytes(b"" if harm == "emptied" else data[:-1])
    damaged = open_graph(graph.folder)
    message = "missing" if harm == "gone" else "damaged"
    with pytest.raises(
        ValueError, match=rf"{re.escape(name)}: {message}.*; create the graph or vectors it belongs to again"
    ):
        damaged.entity(0), damaged.by_head(0)


def test_a_folder_without_a_graph(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"graph\.json is missing\)$"):
        open_graph(tmp_path)
    (tmp_path / "g.tsv").touch()
    with pytest.raises(
        ValueError, match=r"g\.tsv: holds no stored graph .* it is a file, to be imported first"
    ):
        open_graph(tmp_path / "g.tsv")
    for content, message in (
        ("{", "damaged"),
        ("[]", "not of a stored graph"),
        ('{"format": 0}', "format 0"),
    ):
        (tmp_path / "graph.json").write_text(content)
        with pytest.raises(ValueError, match=rf"graph\.json: {message}"):
            open_graph(tmp_path)


triples_of_five = st.lists(st.tuples(*[st.integers(0, 4), st.integers(0, 2), st.integers(0, 4)]), max_size=40)


@given(triples_of_five)
@settings(max_examples=30, deadline=None)
def test_indexes_agree_with_a_scan(
    tmp_path_factory: pytest.TempPathFactory, facts: list[tuple[int, ...]]
) -> None:
    writer = GraphWriter(tmp_path_factory.mktemp("g"))
    for number in range(5):
        writer.add_entity(Entity(f"e{number}", f"e{number}"))
    for number in range(3):
        writer.add_relation(Relation(f"r{number}", f"r{number}"))
    writer.add_triples("train", np.asarray(facts, np.int32).reshape(-1, 3))
    graph = writer.finish()
    distinct = sorted(set(facts))
    assert [tuple(triple) for triple in graph.triples().tolist()] == distinct
    for row in range(5):
        assert {tuple(t) for t in graph.by_head(row).tolist()} == {t for t in distinct if t[0] == row}
        assert {tuple(t) for t in graph.by_tail(row).tolist()} == {t for t in distinct if t[2] == row}
