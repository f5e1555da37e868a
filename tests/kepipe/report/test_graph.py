"""Pages about a graph: figures in words, also with one entity and with none."""

from __future__ import annotations

from pathlib import Path

import pytest

from kepipe.report.graph import entity_page, statistics_page
from kepipe.report.markup import fill
from kepipe.report.page import Table, Text, render
from kg.schema import Entity, Relation, Triple
from kg.statistics import measure
from kg.store import Graph
from kg.validation import validate
from kg.view import ego_triples, render_ego
from kg.writer import write_graph


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    entities = [
        Entity("c", "Country <&>", ("国家",), "a country", ("place",)),
        *(Entity(f"t{n}", "Town", prior=float(n)) for n in range(40)),
        Entity("alone", "Alone"),
    ]
    facts = [*(Triple(f"t{n}", "in", "c") for n in range(40)), Triple("t7", "mayor", "c")]
    relations = [Relation("in", "located in"), Relation("mayor", "seat of")]
    return write_graph(tmp_path / "g", entities, relations, {"train": facts})


def test_graph_page_has_statistics(graph: Graph) -> None:
    page = statistics_page(graph, measure(graph), validate(graph), "mine")
    assert page.headline == "mine: 42 entities in 41 triples"
    assert page.lead == "2 relations, 1 type, 1 alias."
    kinds, relations = (block for block in page.sections[1].blocks if isinstance(block, Table))
    assert [row[:1] + row[2:] for row in kinds.rows] == [
        ("1-1", 1, "1"), ("1-N", 0, "0"), ("N-1", 1, "40"), ("N-N", 0, "0"),
    ]  # fmt: skip
    assert relations.rows[0] == ("located in", "N-1", "40", "1.00", "40.00", "")
    assert relations.caption.startswith("All relations.")
    (names,) = page.sections[2].blocks
    assert isinstance(names, Table)
    assert names.rows[0][:2] == ("Town", "40")
    assert names.rows[0][2].count("; ") == 4
    html = render(page)
    assert "Country &lt;&amp;&gt;" in html
    assert "entities without a triple" in html


def test_entity_page_lists_facts(graph: Graph) -> None:
    row = graph.row("c")
    triples = ego_triples(graph, row)
    page = entity_page(graph, row, render_ego(graph, row, triples)[0].decode(), len(triples))
    nothing, facts = page.sections[1].blocks
    assert nothing == Text("Country <&> → …: no triple.", quiet=True)
    assert isinstance(facts, Table)
    assert facts.caption == "… → Country <&> (41 triples)"
    assert facts.rows[0] == ("seat of", "1", "Town")
    assert facts.rows[1][2] == f"{'; '.join(['Town'] * 30)}; and 10 more"


def test_entity_page_without_triples(graph: Graph) -> None:
    page = entity_page(graph, graph.row("alone"), "<svg/>", 0)
    assert page.sections[0].blocks == (Text("No triples."),)
    assert "<svg/>" not in render(page)


def test_long_names_and_descriptions_are_shown_in_full_once(tmp_path: Path) -> None:
    name, definition = "acute " * 20 + "leukaemia", "A cancer of the blood. " * 12 + "The end."
    chinese = "某" * 100
    entities = [
        Entity("a", name, ("short", chinese), definition),
        Entity("b", "plain", description="a definition that fits"),
    ]
    graph = write_graph(tmp_path / "g", entities, [Relation("r", "is a")], {"train": [Triple("a", "r", "b")]})
    page = entity_page(graph, 0, fill("<svg></svg>"), 1)
    assert page.title == page.headline == "acute " * 12 + "acute …"
    assert page.lead == f"{name} {definition} Also called short, {chinese[:80]} …."
    facts = page.sections[1].blocks[0]
    assert isinstance(facts, Table)
    assert facts.caption == f"{page.title} → … (1 triple)"
    other = entity_page(graph, 1, fill("<svg></svg>"), 1)
    assert other.headline == "plain: a definition that fits"
    assert other.lead == ""
    assert isinstance(facts := other.sections[1].blocks[1], Table)
    assert facts.rows[0][2] == page.title
