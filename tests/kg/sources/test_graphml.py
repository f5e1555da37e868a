"""GraphML and networkx graphs: nodes and edges with attributes; invalid GraphML is rejected with the line."""

from __future__ import annotations

import bz2
import gzip
from collections.abc import Callable
from pathlib import Path

import networkx as nx
import pytest

from kg.problems import Problems
from kg.schema import Entity, Relation
from kg.sources.graphml import read_networkx
from kg.writer import GraphWriter
from tests.support.sources import Read


def test_nodes_and_edges(read: Read, tmp_path: Path) -> None:
    made = nx.MultiDiGraph()
    made.add_node(
        "Q64", label="Berlin", aliases='["Berlino", "柏林"]', type="city", prior=3.4, description="capital"
    )
    made.add_node("Q183", name="Germany", types="[not JSON")
    made.add_edge("Q64", "Q183", relation="P17", label="country")
    made.add_edge("Q64", "Q183", label="capital of")
    made.add_edge("Q183", "Q64")
    nx.write_graphml(made, tmp_path / "g.graphml")
    found = read(tmp_path / "g.graphml")
    assert not found.problems
    assert [found.graph.entity(row) for row in range(2)] == [
        Entity("Q64", "Berlin", ("Berlino", "柏林"), "capital", ("city",), 3.4),
        Entity("Q183", "Germany", (), "", ("[not JSON",)),
    ]
    assert found.facts() == {
        ("Q64", "P17", "Q183"), ("Q64", "capital of", "Q183"), ("Q183", "related to", "Q64"),
    }  # fmt: skip
    assert Relation("P17", "country") in found.graph.relations
    assert found.left_out == {"edges without a relation, which get 'related to'": 1}


def test_undirected_edges_run_both_ways(tmp_path: Path) -> None:
    writer = GraphWriter(tmp_path)
    read_networkx(nx.karate_club_graph(), writer, Problems())
    graph = writer.finish()
    assert len(graph) == 34
    assert graph.describe()["triples"] == 2 * 78


def _with_splits() -> nx.MultiDiGraph:
    made = nx.MultiDiGraph()
    for number, split in enumerate(["train", "valid", "validation", "dev", "test", "Holdout"]):
        made.add_edge("a", f"b{number}", relation="r", split=split)
    made.add_edge("a", "c", relation="r")
    return made


def test_held_out_edges_are_not_in_training(tmp_path: Path) -> None:
    writer, problems = GraphWriter(tmp_path), Problems()
    read_networkx(_with_splits(), writer, problems)
    graph = writer.finish()
    tails = {
        split: {graph.ids[int(tail)] for tail in graph.triples(split)[:, 2]}
        for split in ("train", "valid", "test")
    }
    assert tails == {"train": {"b0", "c"}, "valid": {"b1", "b2", "b3"}, "test": {"b4"}}
    assert [str(problem) for problem in problems.first] == [
        "graph: the edge 'a' → 'b5' has the split 'Holdout'; expected train, valid, test, validation, dev"
    ]


def test_a_strict_reader_refuses_an_unknown_split(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the split 'Holdout'"):
        read_networkx(_with_splits(), GraphWriter(tmp_path), Problems(strict=True))


def test_bad_nodes_are_named(tmp_path: Path) -> None:
    made = nx.DiGraph()
    made.add_node("a", prior="much")
    made.add_node("b", prior=-1)
    made.add_edge("a", "c", relation="r")
    problems = Problems()
    writer = GraphWriter(tmp_path)
    read_networkx(made, writer, problems)
    assert [str(problem) for problem in problems.first] == [
        "graph: `prior` of node 'a' must be a number, 0 or more, found 'much'",
        "graph: `prior` of node 'b' must be a number, 0 or more, found -1",
    ]
    assert writer.finish().labels[1] == "a"  # kept, by its id, for the triple's sake


def test_graphml_without_a_namespace_is_read(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "g.graphml"
    edge = '<node id="a"/><node id="b"/><edge source="a" target="b"/>'
    file.write_text(f'<graphml><graph edgedefault="directed">{edge}</graph></graphml>')
    assert read(file).facts() == {("a", "related to", "b")}


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress])
def test_packed_graphml_is_read_and_truncation_reported(
    read: Read, tmp_path: Path, pack: Callable[[bytes], bytes]
) -> None:
    file = tmp_path / "g.graphml.gz"
    packed = pack("\n".join(nx.generate_graphml(nx.karate_club_graph())).encode())
    file.write_bytes(packed)
    assert len(read(file).graph) == 34
    file.write_bytes(packed[:-20])
    with pytest.raises(ValueError, match=r"g\.graphml\.gz: the compressed data is damaged"):
        read(file)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("<graphml>\n<graph>\n</graphml>", r"g\.graphml:3: not XML"),
        ("", r"g\.graphml:1: not XML"),
        ("<html/>", r"g\.graphml: not GraphML"),
        (
            '<graphml xmlns="http://graphml.graphdrawing.org/xmlns"><key id="d0" for="node" attr.name="prior" '
            'attr.type="int"/><graph edgedefault="directed"><node id="a"><data key="d0">x</data></node></graph>'
            "</graphml>",
            r"g\.graphml: not GraphML",
        ),
    ],
)
def test_invalid_graphml_is_rejected(read: Read, tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "g.graphml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "g.graphml")


def test_numeric_and_keyed_relations_are_read(tmp_path: Path) -> None:
    made = nx.MultiDiGraph()
    made.add_edge("a", "b", relation=0)
    made.add_edge("a", "b", key="born in")
    made.add_edge("a", "b", key="e1", label=1.5, relation=float("nan"), split=float("nan"))
    made.add_edge("x\n y", "b ", relation="new\nline")
    made.add_node("b", label=0)
    made.add_node("c", label=float("nan"))
    writer, problems = GraphWriter(tmp_path), Problems()
    assert not read_networkx(made, writer, problems).left_out
    graph = writer.finish()
    assert not problems
    assert {relation.id for relation in graph.relations} == {"0", "born in", "1.5", "new line"}
    assert list(graph.labels) == ["a", "0", "x y", "b ", "c"]


def test_edge_id_in_a_file_is_no_relation(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "g.graphml"
    edge = '<node id="a"/><node id="b"/><edge id="e7" source="a" target="b"/>'
    file.write_text(f'<graphml><graph edgedefault="directed">{edge}</graph></graphml>')
    assert read(file).facts() == {("a", "related to", "b")}


@pytest.mark.parametrize("bad", ["<node/>", "<node id='c'/><edge source='c'/>"])
def test_missing_node_id_is_reported(read: Read, tmp_path: Path, bad: str) -> None:
    file = tmp_path / "g.graphml"
    edge = f'<node id="a"/><node id="b"/><edge source="a" target="b"/>{bad}'
    file.write_text(f'<graphml><graph edgedefault="directed">{edge}</graph></graphml>')
    found = read(file)
    assert found.problems == ["g.graphml: a node has no id, or an edge no source or target"]
    assert found.facts() == {("a", "related to", "b")}
    assert "None" not in found.graph.ids


def test_further_graphs_of_a_file_are_counted_as_skipped(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "g.graphml"
    inner = '<graph edgedefault="directed"><node id="x"/></graph>'
    edge = f'<node id="a">{inner}</node><node id="b"/><edge source="a" target="b"/>'
    file.write_text(f'<graphml><graph edgedefault="directed">{edge}</graph>{inner}</graphml>')
    found = read(file)
    assert found.left_out["graphs other than the first"] == 2
    assert set(found.graph.ids) == {"a", "b"}


def test_yed_groups_are_read(read: Read, tmp_path: Path) -> None:
    def node(id: str, name: str) -> str:
        label = f"<y:ShapeNode><y:NodeLabel>{name}</y:NodeLabel></y:ShapeNode>"
        return f'<node id="{id}"><data key="d6">{label}</data></node>'

    inner = f'<graph edgedefault="directed" id="g:">{node("g::0", "Oslo")}{node("g::1", "Bergen")}</graph>'
    line = '<data key="d9"><y:PolyLineEdge><y:EdgeLabel>near</y:EdgeLabel></y:PolyLineEdge></data>'
    file = tmp_path / "g.graphml"
    file.write_text(
        '<graphml xmlns="http://graphml.graphdrawing.org/xmlns" xmlns:y="http://www.yworks.com/xml/graphml">'
        '<key for="node" id="d6" yfiles.type="nodegraphics"/><key for="edge" id="d9" yfiles.type="edgegraphics"/>'
        f'<graph edgedefault="directed" id="G"><node id="g" yfiles.foldertype="group">{inner}</node>'
        f'<edge source="g::0" target="g::1">{line}</edge></graph></graphml>'
    )
    found = read(file)
    assert found.facts() == {("g::0", "near", "g::1")}
    assert sorted(found.graph.labels) == ["Bergen", "Oslo", "g"]
    assert not any("graphs" in reason for reason in found.left_out)


def test_too_deeply_nested_value_is_text(tmp_path: Path) -> None:
    deep = "[" * 100_000
    made = nx.DiGraph(relations=deep)
    made.add_node("a", aliases=deep)
    made.add_edge("a", "b", relation="r")
    writer = GraphWriter(tmp_path)
    read_networkx(made, writer, Problems(strict=True))
    assert writer.finish().aliases(0) == (deep,)


def test_utf_16_graphml_counts_no_negative_graphs(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "g.graphml"
    text = '<graph edgedefault="directed"><node id="a"/><node id="b"/><edge source="a" target="b"/></graph>'
    namespace = "http://graphml.graphdrawing.org/xmlns"
    head = '<?xml version="1.0" encoding="UTF-16"?>'
    file.write_bytes(f'{head}<graphml xmlns="{namespace}">{text}</graphml>'.encode("utf-16"))
    found = read(file)
    assert found.facts() == {("a", "related to", "b")}
    assert found.left_out == {"edges without a relation, which get 'related to'": 1}
