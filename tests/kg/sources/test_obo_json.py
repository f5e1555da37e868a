"""OBO graphs in JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kg.sources.table import guess
from kg.sources.vocabularies import OBO, SUBCLASS
from tests.support.sources import Read

PART_OF = f"{OBO}BFO_0000050"


def node(number: int, label: str, **meta: Any) -> dict[str, Any]:
    return {"id": f"{OBO}T_{number}", "lbl": label, "type": "CLASS", "meta": meta}


GRAPH = {
    "graphs": [
        {
            "nodes": [
                node(
                    1, "hand", definition={"val": "with fingers"}, xrefs=[{"val": "UMLS:C1"}],
                    synonyms=[{"pred": "hasRelatedSynonym", "val": "r"}, {"pred": "hasExactSynonym", "val": "manus"}],
                ),
                node(2, "arm"),
                node(3, "gone", deprecated=True),
                {"id": PART_OF, "lbl": "part of", "type": "PROPERTY", "propertyType": "OBJECT"},
            ],
            "edges": [
                {"sub": f"{OBO}T_1", "pred": PART_OF, "obj": f"{OBO}T_2"},
                {"sub": f"{OBO}T_3", "pred": "is_a", "obj": f"{OBO}T_2"},
            ],
            "logicalDefinitionAxioms": [
                {"definedClassId": f"{OBO}T_2", "genusIds": [f"{OBO}T_1"],
                 "restrictions": [{"propertyId": PART_OF, "fillerId": f"{OBO}T_1"}]},
            ],
        }
    ]
}  # fmt: skip


def test_nodes_edges_and_definitions(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "toy.json"
    file.write_text(json.dumps(GRAPH, indent=1))
    assert guess(file).name == "obo-json"
    found = read(file)
    assert not found.problems
    hand = found.graph.entity(found.graph.row(f"{OBO}T_1"))
    assert (hand.label, hand.aliases, hand.description) == ("hand", ("manus", "r"), "with fingers")
    assert found.facts() == {
        (f"{OBO}T_1", PART_OF, f"{OBO}T_2"), (f"{OBO}T_2", SUBCLASS, f"{OBO}T_1"), (f"{OBO}T_2", PART_OF, f"{OBO}T_1"),
    }  # fmt: skip
    assert {relation.label for relation in found.graph.relations} == {"part of", "subclass of"}
    assert found.left_out["obsolete terms"] == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"graphs": 1}', "expected"),
        ('{"graphs": [\n}', r"toy\.json:2: not JSON"),
        ('{"graphs"' + "[" * 100_000, "not JSON"),
    ],
)
def test_invalid_obo_json_is_rejected(read: Read, tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "toy.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=message):
        read(file, format="obo-json")


def test_bad_nodes_and_edges_are_skipped_alone(read: Read, tmp_path: Path) -> None:
    graph = GRAPH["graphs"][0]
    bad = {"nodes": [*graph["nodes"], {"lbl": "no id"}, 7], "edges": [*graph["edges"], {"sub": "x"}, None]}
    file = tmp_path / "toy.json"
    file.write_text(json.dumps({"graphs": [{**graph, **bad}]}))
    found = read(file)
    assert len(found.facts()) == 3
    assert [problem.split(": ")[1] for problem in found.problems] == ["node 5", "node 6", "edge 3", "edge 4"]
