"""Wikidata's JSON, on one line or on many, as a dump or as an answer of the API."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.sources import Read


def item(id: str, label: str, **claims: str) -> dict[str, object]:
    def statement(tail: str) -> dict[str, object]:
        value = {"value": {"entity-type": "item", "id": tail}, "type": "wikibase-entityid"}
        return {"rank": "normal", "mainsnak": {"snaktype": "value", "datavalue": value}}

    return {
        "type": "item", "id": id, "labels": {"en": {"value": label}},
        "claims": {property: [statement(tail)] for property, tail in claims.items()},
    }  # fmt: skip


ITEMS = [item("Q1", "Oslo", P17="Q2"), item("Q2", "Norway")]
ANSWER = {"entities": {one["id"]: one for one in ITEMS}, "success": 1}


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(ANSWER), json.dumps(ANSWER, indent=2), json.dumps(ITEMS), json.dumps(ITEMS, indent=2),
        "\n".join(map(json.dumps, ITEMS)), "[\n" + ",\n".join(map(json.dumps, ITEMS)) + "\n]\n",
        "\n".join(json.dumps({"entities": {one["id"]: one}}) for one in ITEMS),
    ],
)  # fmt: skip
def test_all_wikidata_layouts_give_the_same_graph(read: Read, tmp_path: Path, text: str) -> None:
    file = tmp_path / "wd.json"
    file.write_text(text)
    found = read(file)
    assert not found.problems
    assert found.facts() == {("Q1", "P17", "Q2")}
    assert list(found.graph.labels) == ["Oslo", "Norway"]


def test_bad_multi_line_file_is_located(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "wd.json"
    file.write_text('{\n "entities": {\n  "Q1": }\n}')
    (problem,) = read(file).problems
    assert problem.startswith("wd.json:3: not JSON")
