"""Neighbourhoods alternate between relations; pictures are deterministic; GraphML round trips."""

from __future__ import annotations

import tempfile
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kg.networkx_graph import to_networkx, write_graphml
from kg.problems import Problems
from kg.schema import Entity, Relation, Triple
from kg.sources.graphml import read_graphml
from kg.sources.reading import Choices
from kg.store import Graph
from kg.view import draw_ego, ego_triples, facts_of, render_ego
from kg.writer import SPLITS, GraphWriter, write_graph


@pytest.fixture
def graph(tmp_path: Path) -> Graph:
    """A country with ten towns, a capital among them, a currency, and a village of the largest town."""
    towns = [
        Entity(f"t{n}", f"Town <{n}> $x$", (f"alias & {n}",), "", ("town",), float(n)) for n in range(10)
    ]
    others = [Entity("c", "Country", ("国家",), "a country"), Entity("m", "Money"), Entity("v", "Village")]
    facts = [Triple(f"t{n}", "in", "c") for n in range(10)]
    facts += [Triple("c", "pays", "m"), Triple("c", "capital", "t3"), Triple("v", "near", "t9")]
    relations = [Relation("in", "in"), Relation("pays", "pays with"), Relation("capital", "has the capital")]
    return write_graph(
        tmp_path / "g", [*towns, *others], [*relations, Relation("near", "near")], {"train": facts}
    )


def named(graph: Graph, triples: np.ndarray) -> list[tuple[str, str, str]]:  # type: ignore[type-arg]
    return [(graph.ids[h], graph.relation(r).id, graph.ids[t]) for h, r, t in triples.tolist()]


def test_relations_alternate_and_high_priors_come_first(graph: Graph) -> None:
    found = named(graph, ego_triples(graph, graph.row("c"), most=5))
    assert set(found) == {
        ("c", "pays", "m"), ("c", "capital", "t3"), ("t9", "in", "c"), ("t8", "in", "c"), ("t7", "in", "c"),
    }  # fmt: skip


def test_view_has_the_requested_hops(graph: Graph) -> None:
    found = named(graph, ego_triples(graph, graph.row("v"), hops=2, most=8))
    assert found == [("v", "near", "t9"), ("t9", "in", "c")]
    assert len(ego_triples(graph, graph.row("c"), hops=2, most=24)) == 12  # a tree: every entity once


def test_pictures_have_escaped_labels_and_are_deterministic(graph: Graph, tmp_path: Path) -> None:
    row = graph.row("c")
    assert draw_ego(graph, row, tmp_path / "a.svg", hops=2) == []
    first = (tmp_path / "a.svg").read_bytes()
    texts = {
        "".join(node.itertext()).strip()
        for node in ElementTree.fromstring(first).iter("{http://www.w3.org/2000/svg}text")
    }
    assert {"Country", "Money", "Village", "Town <3> $x$", "pays with"} <= texts
    assert render_ego(graph, row, ego_triples(graph, row, hops=2))[0] == first
    draw_ego(graph, row, tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ValueError, match=r"pictures end with \.png, \.svg or \.pdf"):
        draw_ego(graph, row, tmp_path / "a.gif")


def test_facts_of_an_entity_are_grouped_by_relation_and_sorted_by_prior(graph: Graph) -> None:
    away, to = facts_of(graph, graph.row("c"))
    assert [graph.relation(one.relation).id for one in away] == ["pays", "capital"]
    (within,) = to
    assert [graph.ids[row] for row in within.others] == [f"t{n}" for n in reversed(range(10))]  # by prior
    assert facts_of(graph, graph.row("m"))[0] == []


def test_overlapping_names_are_reported(tmp_path: Path) -> None:
    entities = [Entity(f"e{n}", f"e{n}") for n in range(160)]
    facts = [Triple("e0", "r", f"e{n}") for n in range(1, 160)]
    graph = write_graph(tmp_path / "g", entities, [Relation("r", "r")], {"train": facts})
    assert draw_ego(graph, 0, tmp_path / "few.svg") == []
    (warning,) = draw_ego(graph, 0, tmp_path / "many.svg", most=200)
    assert warning.startswith("159 names on the outermost ring")


def test_the_legend_is_below_the_lowest_name(tmp_path: Path) -> None:
    entities = [Entity(f"e{n}", f"{n} {'m' * 30}") for n in range(4)]
    facts = [Triple("e0", "r", f"e{n}") for n in range(1, 4)]
    graph = write_graph(tmp_path / "g", entities, [Relation("r", "related")], {"train": facts})
    drawing, _ = render_ego(graph, 0, ego_triples(graph, 0))
    texts = ElementTree.fromstring(drawing).iter("{http://www.w3.org/2000/svg}text")
    begins = {"".join(node.itertext()).strip(): float(node.get("y", "nan")) for node in texts}
    legend = begins.pop("related")
    assert legend > max(begins.values()) + 32 * 6  # a name downwards, of 32 letters


def test_entities_without_names_are_drawn(tmp_path: Path) -> None:
    entities = [Entity("a", ""), Entity("b", "")]
    graph = write_graph(tmp_path / "g", entities, [Relation("r", "r")], {"train": [Triple("a", "r", "b")]})
    assert b"<svg" in render_ego(graph, 0, ego_triples(graph, 0))[0]


def test_an_entity_without_triples_is_drawn(tmp_path: Path) -> None:
    graph = write_graph(tmp_path / "g", [Entity("a", "A")], [], {"train": []})
    assert b"<svg" in render_ego(graph, 0, ego_triples(graph, 0))[0]


def test_graphml_round_trips(graph: Graph, tmp_path: Path) -> None:
    write_graphml(graph, tmp_path / "g.graphml")
    writer = GraphWriter(tmp_path / "again")
    problems = Problems()
    read_graphml(tmp_path / "g.graphml", writer, problems, lambda _: None, Choices())
    again = writer.finish()
    assert not problems
    assert {again.entity(row) for row in range(len(again))} == {
        graph.entity(row) for row in range(len(graph))
    }
    assert set(named(again, again.triples())) == set(named(graph, graph.triples()))
    assert set(again.relations) == set(graph.relations)


def test_invalid_characters_of_xml_are_an_error(tmp_path: Path) -> None:
    entities = [Entity("a", "A"), Entity("b", "B", (), "a bell \a")]
    graph = write_graph(tmp_path / "g", entities, [Relation("r", "r")], {"train": [Triple("a", "r", "b")]})
    with pytest.raises(ValueError, match=r"control character in 'a bell \\x07', of entity 'b'"):
        write_graphml(graph, tmp_path / "g.graphml")
    assert not (tmp_path / "g.graphml").exists()
    named = write_graph(tmp_path / "h", [Entity("a", "A\x00")], [], {"train": []})
    drawing, _ = render_ego(named, 0, ego_triples(named, 0))
    assert "A\ufffd" in "".join(ElementTree.fromstring(drawing).itertext())


def test_subgraph_of_triples_in_networkx(graph: Graph) -> None:
    part = to_networkx(graph, graph.by_tail(graph.row("c"))[:2])
    assert set(part.nodes) == {"c", "t0", "t1"}
    assert part.edges["t0", "c", "in"] == {"relation": "in", "label": "in"}


words = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Cn"), exclude_characters="\u2028\u2029"),
    min_size=1,
    max_size=6,
)
names = words.map(lambda word: " ".join(word.split())).filter(bool)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(names, st.lists(names, max_size=2), names | st.just(""), st.floats(0, 1e9)),
        min_size=1,
        max_size=5,
    ),
    st.lists(
        st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(0, 4), st.sampled_from(SPLITS)),
        max_size=12,
    ),
)
def test_export_then_import_is_the_identity(
    entities: list[tuple[str, list[str], str, float]], facts: list[tuple[int, int, int, str]]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        here = Path(folder)
        given_entities = [
            Entity(
                f"e{row}",
                label,
                tuple(dict.fromkeys(aliases)),
                description,
                ("[odd]",) if row % 2 else (),
                prior,
            )
            for row, (label, aliases, description, prior) in enumerate(entities)
        ]
        relations = [Relation("r0", "in"), Relation("r1", "in"), Relation("r2", "[of]")]
        triples: dict[str, list[Triple]] = {split: [] for split in SPLITS}
        for head, relation, tail, split in facts:
            head, tail = head % len(entities), tail % len(entities)
            triples[split].append(Triple(f"e{head}", f"r{relation}", f"e{tail}"))
        graph = write_graph(here / "graph", given_entities, relations, triples)
        write_graphml(graph, here / "g.graphml")
        writer, problems = GraphWriter(here / "again"), Problems()
        read_graphml(here / "g.graphml", writer, problems, lambda _: None, Choices())
        assert writer.finish().digest == graph.digest
        assert not problems
