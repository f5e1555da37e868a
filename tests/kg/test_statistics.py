"""Statistics of small graphs by hand; components against networkx."""

from __future__ import annotations

import itertools
from pathlib import Path

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg.schema import Entity, Relation, Triple
from kg.search import find, suggest
from kg.statistics import component_sizes, count_degrees, measure, measure_relations
from kg.store import Graph
from kg.validation import validate
from kg.writer import write_graph

ENTITIES = [
    Entity("a", "Berlin", ("Spree",), prior=3.0), Entity("b", "Germany"), Entity("c", "Berlin"),
    Entity("d", "Spree", ("a",)), Entity("e", "e"),
]  # fmt: skip
RELATIONS = [Relation("in", "located in"), Relation("of", "capital of"), Relation("x", "unused")]
FACTS = [
    Triple("a", "in", "b"),
    Triple("c", "in", "b"),
    Triple("d", "in", "b"),
    Triple("a", "of", "b"),
    Triple("d", "of", "d"),
]


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    return write_graph(tmp_path / "g", ENTITIES, RELATIONS, {"train": FACTS[:3], "test": FACTS[3:]})


def test_statistics_of_a_small_graph(graph: Graph) -> None:
    figures = measure(graph)
    assert figures.hubs[:2] == ((1, 4), (3, 3))
    assert (figures.degree_mean, figures.degree_median, figures.degree_max) == (2.0, 2.0, 4)
    assert figures.degree_counts == ((0, 0, 1), (1, 1, 1), (2, 3, 2), (4, 7, 1))
    assert figures.components == (4, 1)
    assert [(one.relation, one.triples, one.cardinality, one.loops) for one in figures.relations] == [
        (0, 3, "N-1", 0), (1, 2, "1-1", 1), (2, 0, "1-1", 0),
    ]  # fmt: skip
    # The likeliest first: a has a prior; d bears the name as its label.
    assert [(name.name, name.entities, name.rows) for name in figures.ambiguous] == [
        ("Berlin", 2, (0, 2)), ("Spree", 2, (3, 0)),
    ]  # fmt: skip


def test_cardinalities() -> None:
    many = np.array([[0, 0, 1], [0, 0, 2], [3, 0, 1], [3, 0, 2], [0, 1, 4], [0, 1, 5]], np.int32)
    assert [one.cardinality for one in measure_relations(many, 2)] == ["N-N", "1-N"]


def test_degrees_in_doubling_steps() -> None:
    assert count_degrees(np.array([1, 8, 8, 3])) == ((0, 0, 0), (1, 1, 1), (2, 3, 1), (4, 7, 0), (8, 15, 2))
    assert count_degrees(np.array([], np.int64)) == ()


@given(st.lists(st.tuples(st.integers(0, 14), st.just(0), st.integers(0, 14)), max_size=20))
def test_components_agree_with_networkx(facts: list[tuple[int, int, int]]) -> None:
    oracle = nx.Graph()
    oracle.add_nodes_from(range(15))
    oracle.add_edges_from((head, tail) for head, _, tail in facts)
    expected = sorted(map(len, nx.connected_components(oracle)), reverse=True)
    assert component_sizes(np.array(facts, np.int32).reshape(-1, 3), 15) == expected


def test_names_are_found(graph: Graph) -> None:
    assert find(graph, "a") == [0, 3]  # the id, then the alias
    assert find(graph, "Berlin") == [0, 2]
    assert find(graph, "Spree") == [3, 0]
    assert find(graph, "erlin") == []
    assert find(graph, "Berl") == []
    assert suggest(graph, "GERM") == ["Germany"]
    assert suggest(graph, "gremany") == ["Germany"]
    assert suggest(graph, "Xylophone") == []


def test_the_shortest_name_that_contains_the_query_is_suggested_first(tmp_path: Path) -> None:
    names = ("New York City", "New York", "Yorkeys Knob", "York")
    graph = write_graph(tmp_path, [Entity(name, name) for name in names], [], {"train": []})
    assert suggest(graph, "york", most=3) == ["York", "New York", "Yorkeys Knob"]


def test_validation_findings_are_counted(graph: Graph) -> None:
    found = {finding.what: (finding.level, finding.count) for finding in validate(graph)}
    assert found == {
        "entities without a triple": ("warning", 1),
        "entities without a name, called by their id": ("warning", 1),
        "relations without a triple": ("warning", 1),
        "triples of an entity with itself": ("warning", 1),
        "test triples whose two entities are also tied in train": ("warning", 1),
        "test triples with an entity or relation that train lacks": ("warning", 2),
    }


def test_damage_is_detected(graph: Graph) -> None:
    file = graph.folder / "labels.utf8"
    file.write_bytes(file.read_bytes().replace(b"Germany", b"Gemrany"))
    (finding,) = validate(graph)
    assert finding.level == "error"
    assert "differ from the digest" in finding.what
    file.unlink()
    assert validate(graph)[0].level == "error"


def test_malformed_names_are_found(tmp_path: Path) -> None:
    names = [Entity("a", "x\u0007"), Entity("b", "y" * 101), Entity("c", " ", ("Br\ufffdl", "Bern "))]
    graph = write_graph(
        tmp_path, names, RELATIONS[:1], {"train": [Triple("a", "in", "b"), Triple("a", "in", "c")]}
    )
    assert [(finding.count, finding.examples) for finding in validate(graph)] == [
        (1, ("' '",)), (1, ("'Bern '",)), (1, (repr("y" * 40),)), (1, (repr("x\u0007"),)), (1, (repr("Br\ufffdl"),)),
    ]  # fmt: skip


def test_ids_that_differ_only_in_case_and_direction_marks_are_found(tmp_path: Path) -> None:
    names = ["Berlin", "berlin", "BERLIN", "Paris", "abc\u200f"]
    graph = write_graph(
        tmp_path,
        [Entity(name, name) for name in names],
        [Relation("r", "r")],
        {"train": [Triple(one, "r", other) for one, other in itertools.pairwise(names)]},
    )
    found = {finding.what: finding for finding in validate(graph)}
    assert found["ids that differ from another in case alone"].count == 2
    assert found["ids that differ from another in case alone"].examples == ("'berlin'", "'BERLIN'")
    assert found["names with invisible marks of direction"].count == 1
