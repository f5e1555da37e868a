"""Changes between two graphs, matched by id, independent of the row numbers."""

from __future__ import annotations

from pathlib import Path

from kg.changes import graph_changes, trained_on
from kg.schema import Entity, Relation, Triple
from kg.store import Graph, open_graph
from kg.writer import write_graph


def graph(folder: Path, entities: list[Entity], triples: list[Triple], relations: tuple[str, ...]) -> Graph:
    write_graph(folder, entities, [Relation(name, name) for name in relations], {"train": triples})
    return open_graph(folder)


def test_entities_triples_and_names(tmp_path: Path) -> None:
    old = [Entity("io", "Io", ("Jupiter I",)), Entity("jupiter", "Jupiter"), Entity("pluto", "Pluto")]
    facts = [
        Triple("io", "orbits", "jupiter"),
        Triple("pluto", "orbits", "jupiter"),
        Triple("io", "of", "jupiter"),
    ]
    before = graph(tmp_path / "before", old, facts, ("orbits", "of"))
    new = [
        Entity("amalthea", "Amalthea"),
        Entity("io", "Io", ("Jupiter I", "Io, moon")),
        Entity("jupiter", "Jove", ("Jupiter",)),
    ]
    grown = [
        Triple("amalthea", "orbits", "jupiter"), Triple("io", "orbits", "jupiter"), Triple("io", "near", "amalthea")
    ]  # fmt: skip
    now = graph(tmp_path / "now", new, grown, ("near", "orbits"))
    found = graph_changes(before, now)
    assert [now.ids[row] for row in found.new_entities] == ["amalthea"]
    assert found.gone_entities == ["pluto"]
    assert (found.new_triples, found.gone_triples) == (2, 2)
    assert (found.new_aliases, found.gone_aliases) == (2, 0)  # "Io, moon" and "Jove"
    assert found
    back = graph_changes(now, before)
    assert (back.new_triples, back.gone_triples, back.new_aliases, back.gone_aliases) == (2, 2, 0, 2)


def test_the_same_graph_has_no_changes(tmp_path: Path) -> None:
    entities, facts = [Entity("a", "A"), Entity("b", "B")], [Triple("a", "r", "b")]
    first, second = (graph(tmp_path / name, entities, facts, ("r",)) for name in ("one", "two"))
    assert not graph_changes(first, second)
    bare = graph(tmp_path / "bare", entities, [], ())
    found = graph_changes(bare, first)
    assert (found.new_triples, found.gone_triples) == (1, 0)


def test_triples_of_the_earlier_training_split_are_found(tmp_path: Path) -> None:
    entities = [Entity(name, name) for name in "abc"]
    before = graph(tmp_path / "before", entities, [Triple("a", "r", "b"), Triple("b", "r", "c")], ("r",))
    facts = [Triple("b", "r", "a"), Triple("b", "r", "c"), Triple("b", "q", "c"), Triple("new", "r", "b")]
    now = graph(tmp_path / "now", [Entity("new", "new"), *entities], facts, ("q", "r"))
    seen = trained_on(now.triples("train"), now, before)
    ids = [
        (now.ids[head], now.relations[kind].id, now.ids[tail])
        for head, kind, tail in now.triples("train")[seen]
    ]
    assert ids == [("b", "r", "c")]
