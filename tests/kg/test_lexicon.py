"""Aliases → entities: priors, case, and the same results from memory and from disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from kg.lexicon import Lexicon
from kg.schema import Entity
from kg.store import Graph
from kg.writer import write_graph


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    entities = [
        Entity("paris-fr", "Paris", ("Lutetia", "巴黎"), prior=2_100_000),
        Entity("paris-tx", "Paris", (), prior=25_000),
        Entity("nice", "Nice", (), prior=340_000),
        Entity("usa", "United States", ("US", "U.S."), prior=3e8),
        Entity("disease", "cancer", ("Cancer",)),
        Entity("nobody", "Nobody", ("Paris", "  ")),
    ]
    return write_graph(tmp_path / "g", entities, [], {})


def test_priors_by_hand(graph: Graph) -> None:
    lexicon = Lexicon.build(graph, alias_weight=0.5)
    total = 2_100_001 + 25_001 + 0.5
    found = lexicon.candidates("Paris")
    assert [candidate.row for candidate in found] == [0, 1, 5]
    assert [candidate.prior for candidate in found] == pytest.approx(
        [w / total for w in (2_100_001, 25_001, 0.5)]
    )


def test_case_and_form(graph: Graph) -> None:
    lexicon = Lexicon.build(graph)
    assert [found.row for found in lexicon.candidates("US")] == [3]
    assert lexicon.candidates("us") == []
    assert lexicon.candidates("nice") == []
    assert [found.row for found in lexicon.candidates("NICE")] == [2]
    assert [found.row for found in lexicon.candidates(" united\u00a0states")] == []
    assert [found.row for found in lexicon.candidates("United\u00a0States")] == [3]
    assert [found.row for found in lexicon.candidates("cancer")] == [4]
    assert [found.row for found in lexicon.candidates("巴黎")] == [0]
    assert lexicon.candidates("Atlantis") == []


def test_keys_are_distinct_sorted_and_never_empty(graph: Graph) -> None:
    keys = list(Lexicon.build(graph))
    assert keys == sorted(set(keys))
    assert all(keys)
    assert "cancer" in keys


def test_a_saved_lexicon_gives_the_same_candidates(graph: Graph, tmp_path: Path) -> None:
    built = Lexicon.build(graph)
    built.save(tmp_path / "lexicon")
    opened = Lexicon.open(tmp_path / "lexicon")
    assert list(opened) == list(built)
    for key in ("Paris", "US", "Cancer", "Lutetia", "nothing"):
        assert opened.candidates(key) == built.candidates(key)


def test_degrees_replace_missing_priors(tmp_path: Path) -> None:
    from kg.schema import Relation, Triple

    entities = [Entity("a", "Same"), Entity("b", "Same"), Entity("c", "Other")]
    facts = [Triple("b", "r", "c"), Triple("c", "r", "b")]
    graph = write_graph(tmp_path / "d", entities, [Relation("r", "r")], {"train": facts})
    assert Lexicon.build(graph).candidates("Same") == [(1, 0.75), (0, 0.25)]
