"""Joining a place with its region into one mention."""

from __future__ import annotations

from pathlib import Path

import pytest

from kepipe.linking.decision.joining import join, marks_joined, split_joined
from kepipe.linking.decision.marks import Marks
from kepipe.linking.decision.policy import Policy
from kepipe.linking.evaluation.explain import explain
from kepipe.linking.kb.links import UNKNOWN, Link, LinkedSpan
from kepipe.linking.linker import Linker
from kepipe.linking.text.annotators import RuleAnnotator
from kg.schema import Entity, Relation, Triple
from kg.store import Graph
from kg.writer import write_graph


@pytest.fixture(scope="module")
def linker(graph: Graph) -> Linker:
    return Linker.build(graph)


def link(linker: Linker, text: str, joined: bool | None = None) -> list[tuple[str, str]]:
    annotation = next(iter(RuleAnnotator().annotate([text])))
    mentions = linker.link(text, annotation, policy=Policy(join=joined))
    return [(text[mention.start : mention.end], mention.entity) for mention in mentions]


def test_a_place_and_its_container_are_joined_on_request(linker: Linker) -> None:
    text = "She left Omaha, Nebraska, and Leeds, Omaha too."
    apart = [("Omaha", "omaha"), ("Nebraska", "ne"), ("Leeds", "leeds"), ("Omaha", "omaha")]
    assert link(linker, text) == apart
    assert link(linker, text, True) == [("Omaha, Nebraska", "omaha"), ("Leeds", "leeds"), ("Omaha", "omaha")]
    learned = linker.with_ranker(linker.ranker, Marks(joined=True))
    assert link(learned, text) == link(linker, text, True)
    assert link(learned, text, False) == apart


def test_nested_containment_is_joined(linker: Linker) -> None:
    text = "Omaha, Nebraska, USA"
    rows = {name: linker.row(id) for name, id in (("Omaha", "omaha"), ("Nebraska", "ne"), ("USA", "us"))}
    found = [
        LinkedSpan(text.index(name), text.index(name) + len(name), row, 0.9) for name, row in rows.items()
    ]
    assert join(text, found, linker.knowledge) == [LinkedSpan(0, len(text), rows["Omaha"], 0.9)]
    assert join(text, found[::2], linker.knowledge) == found[::2]  # more than a comma between them


def test_a_chain_of_places_is_split_after_the_first(linker: Linker) -> None:
    known = linker.knowledge, linker.gazetteer.lexicon
    whole = Link(0, 20, linker.row("omaha"))
    longer = whole._replace(end=22)
    parts = [Link(0, 5, whole.row), Link(7, 20, UNKNOWN)]
    assert split_joined("Omaha, Nebraska, USA", [whole], *known) == parts
    assert split_joined("Omaha, Nebraska, Leeds", [longer], *known) == [longer]
    assert split_joined("Omaha, USA, Nebraska", [whole], *known) == [whole]


def test_a_joined_link_is_explained(linker: Linker) -> None:
    text = "From Omaha, Nebraska"
    outcomes = explain(linker, text, next(iter(RuleAnnotator().annotate([text]))), policy=Policy(join=True))
    assert [(each.surface, each.outcome, each.note) for each in outcomes if each.outcome == "linked"] == [
        ("Omaha, Nebraska", "linked", "with what it lies in")
    ]


def containments(folder: Path, triples: list[tuple[str, str, str]]) -> set[tuple[str, str]]:
    """Which place lies in which, in a graph of countries, the city Riga and the person Ann."""
    countries = ("Estonia", "Latvia", "Lithuania", "Poland")
    entities = [Entity(id, id, (), "", ("country",)) for id in countries]
    entities += [Entity("Riga", "Riga", (), "", ("city",)), Entity("Ann", "Ann", (), "", ("human",))]
    relations = [Relation(name, name) for name in dict.fromkeys(relation for _, relation, _ in triples)]
    graph = write_graph(folder, entities, relations, {"train": [Triple(*triple) for triple in triples]})
    linker = Linker.build(graph)
    rows = {entity.id: linker.row(entity.id) for entity in entities}
    assert not linker.knowledge.lies_in(-1, rows["Latvia"])
    return {
        (inner, outer)
        for inner in rows
        for outer in rows
        if linker.knowledge.lies_in(rows[inner], rows[outer])
    }


IN_LATVIA = [("Riga", "in", "Latvia"), ("Ann", "born", "Latvia")]


def test_neighbouring_countries_are_not_joined(tmp_path: Path) -> None:
    """Whether the graph has a border in both directions or, as for Estonia and Poland here, in one."""
    border = [
        ("Latvia", "Lithuania"),
        ("Lithuania", "Latvia"),
        ("Lithuania", "Poland"),
        ("Estonia", "Latvia"),
    ]
    triples = [(head, "borders", tail) for head, tail in border]
    assert containments(tmp_path, triples + IN_LATVIA) == {("Riga", "Latvia")}


def test_a_relation_with_few_reverse_triples_contains(tmp_path: Path) -> None:
    """Pairs with both directions are left out, but not the relation; a loop is not its own reverse."""
    seats = [("Poland", "Lithuania"), ("Lithuania", "Poland"), ("Riga", "Riga"), ("Estonia", "Estonia")]
    seats += [(place, "Latvia") for place in ("Riga", "Estonia", "Lithuania", "Poland")]
    triples = [(head, "seat", tail) for head, tail in seats]
    inside = {(place, "Latvia") for place in ("Riga", "Estonia", "Lithuania", "Poland")}
    assert containments(tmp_path, [*triples, ("Ann", "born", "Latvia")]) == inside


def test_joining_is_inferred_from_a_gold_set(linker: Linker) -> None:
    text, omaha, nebraska = "Omaha, Nebraska", linker.row("omaha"), linker.row("ne")
    whole, apart = [Link(0, 15, omaha)], [Link(0, 5, omaha), Link(7, 15, nebraska)]
    known = linker.knowledge, linker.gazetteer.lexicon
    assert marks_joined([(text, whole), (text, whole), (text, apart)], *known)
    assert not marks_joined([(text, whole), (text, apart)], *known)
    assert not marks_joined([], *known)
    assert split_joined(text, whole, *known) == [Link(0, 5, omaha), Link(7, 15, UNKNOWN)]
    assert split_joined(text, apart, *known) == apart
    for other in (Link(0, 15, linker.row("leeds")), Link(0, 21, -1)):
        text = "Leeds, Nebraska" if other.row >= 0 else "Springfield, Nebraska"
        assert split_joined(text, [other], *known) == [other]


def test_joining_is_saved_with_the_linker(linker: Linker, tmp_path: Path) -> None:
    linker.with_ranker(linker.ranker, Marks(joined=True)).save(tmp_path)
    opened = Linker.open(tmp_path)
    assert link(opened, "In Omaha, Nebraska.") == [("Omaha, Nebraska", "omaha")]
