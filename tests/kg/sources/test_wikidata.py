"""Wikidata's dump: both forms, names by language, ranks, and every way a line can be wrong."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kg.schema import Entity, Relation
from kg.sources.reading import Choices
from tests.support.sources import Read


def text(language: str, value: str) -> dict[str, str]:
    return {"language": language, "value": value}


def statement(property: str, target: str, rank: str = "normal") -> dict[str, Any]:
    value = {"entity-type": "item", "numeric-id": int(target[1:]), "id": target}
    snak = {
        "snaktype": "value", "property": property, "datavalue": {"type": "wikibase-entityid", "value": value},
    }  # fmt: skip
    return {"mainsnak": snak, "type": "statement", "rank": rank}


def item(id: str, label: str, claims: dict[str, Any] | list[Any], **more: Any) -> dict[str, Any]:
    labels = {"en": text("en", label)} if label else []
    return {"type": "item", "id": id, "labels": labels, "claims": claims, **more}


TIME = {"mainsnak": {"snaktype": "value", "datavalue": {"type": "time", "value": {}}}, "rank": "normal"}
UNKNOWN = {"mainsnak": {"snaktype": "somevalue"}, "rank": "normal"}
BERLIN = item(
    "Q64",
    "Berlin",
    {
        "P31": [statement("P31", "Q515")],
        "P17": [statement("P17", "Q183"), statement("P17", "Q7318", "deprecated")],
        "P571": [TIME, UNKNOWN],
        "P190": [statement("P190", "Q90")],
    },
    aliases={"en": [text("en", "Berlin, Germany")], "fr": [text("fr", "Berlin-Est")]},
    descriptions={"en": text("en", "capital of Germany"), "de": text("de", "Hauptstadt")},
    sitelinks={"enwiki": {}, "dewiki": {}, "zhwiki": {}},
)
BERLIN["labels"]["zh-hans"] = text("zh-hans", "柏林")
ENTITIES: list[dict[str, Any]] = [
    BERLIN,
    item("Q183", "Germany", []),
    item("Q515", "city", {}),
    item("Q7318", "Nazi Germany", {"P36": [statement("P36", "Q64")]}),
    {"type": "property", "id": "P17", "labels": {"en": text("en", "country")}, "claims": {}},
    {"type": "lexeme", "id": "L1"},
]


def as_array(entities: list[dict[str, Any]]) -> bytes:
    return ("[\n" + ",\n".join(json.dumps(entity) for entity in entities) + "\n]\n").encode()


def as_lines(entities: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(entity, ensure_ascii=False) + "\n" for entity in entities).encode()


@pytest.mark.parametrize(
    "data",
    [as_array(ENTITIES), as_lines(ENTITIES), gzip.compress(as_array(ENTITIES))],
    ids=["array", "lines", "gzip"],
)
def test_wikidata_dump_is_read(read: Read, tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "dump.json.gz"
    file.write_bytes(data)
    found = read(file)
    assert not found.problems
    assert found.graph.entity(0) == Entity(
        "Q64", "Berlin", ("Berlin, Germany",), "capital of Germany", ("city",), 3.0
    )
    assert found.facts() == {("Q64", "P17", "Q183"), ("Q7318", "P36", "Q64")}
    assert found.graph.relations == [Relation("P17", "country"), Relation("P36", "P36")]
    assert found.left_out == {
        "deprecated statements": 1,
        "literal values": 1,
        "statements of an unknown value or none": 1,
        "statements about items that the file lacks": 1,  # Paris
        "entities of the kind lexeme": 1,
    }
    assert found.bytes_reported == file.stat().st_size
    assert list(found.account.lines())[:7] == [
        "taken: descriptions: 1 (descriptions 1)", "taken: facts: 2 (P17 country 1, P36 1)",
        "taken: items: 4", "taken: names: 5 (labels, aliases 5)", "taken: priors: 1 (sitelinks 1)",
        "taken: properties: 1", "taken: types: 1 (P31 1)",
    ]  # fmt: skip


def test_wikidata_languages_and_min_sitelinks(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "dump.json"
    file.write_bytes(as_lines(ENTITIES))
    found = read(file, Choices(languages=("zh", "en"), min_sitelinks=1))
    assert list(found.graph.labels) == ["柏林"]
    assert found.graph.aliases(0) == ("Berlin", "Berlin, Germany")
    assert found.left_out["items with too few site links"] == 3
    assert read(file, Choices(languages=("fr",))).graph.labels[1] == "Q183"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"type": "item", "id": "Q1"', "not JSON"),
        (b"42", "expected an entity"),
        (b'{"id": "Q1"}', "expected an entity"),
        (b'{"type": "item", "id": "64"}', "expected an id such as Q64, found '64'"),
        (b'{"type": "item", "id": "Q\xc2\xb2"}', "expected an id"),
        (b'{"type": "property"}', "expected an id such as P64, found None"),
        (b'{"type": "item", "id": "Q99999999999999999999"}', "too large"),
        (b'{"type": "item", "id": "Q1", "labels": "x"}', "`labels`: expected an object"),
        (b'{"type": "item", "id": "Q1", "labels": {"en": "x"}}', 'expected {"value"'),
        (b'{"type": "item", "id": "Q1", "claims": {"P1": {}}}', "`claims`: expected a list"),
        (b'{"type": "item", "id": "Q1", "claims": {"P1": [{"mainsnak": 1}]}}', "not a Wikidata statement"),
        (b'{"type": "item", "id": "Q1", "claims": {"x": []}}', "expected an id such as P64"),
        (b'{"type": "item", "id": "Q64"}', "duplicate entity 'Q64'"),
        (b'{"type": "item", "id": "\xff"}', "not UTF-8 (byte 25)"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"type": "item", "id": "Q1", "labels": {"en": {"value": "\\ud800"}}}', "half of a surrogate pair"),
        (
            b'{"type": "property", "id": "P9", "labels": {"en": {"value": "\\ud800"}}}',
            "half of a surrogate pair",
        ),
        (b'[{"type": "item", "id": "Q"}]', "expected an id such as Q64"),
    ],
)
def test_bad_lines_are_located(read: Read, tmp_path: Path, line: bytes, message: str) -> None:
    file = tmp_path / "dump.json"
    file.write_bytes(as_lines([BERLIN]) + line + b"\n" + as_lines(ENTITIES[1:]))
    found = read(file)
    assert len(found.problems) == 1
    assert found.problems[0].startswith("dump.json:2: ")
    assert message in found.problems[0]
    assert len(found.facts()) == 2


def test_truncated_wikidata_dump_is_reported(read: Read, tmp_path: Path) -> None:
    file = tmp_path / "dump.json.gz"
    many = [
        item(f"Q{n}", f"item {n * 7919 % 1000}", {"P1": [statement("P1", f"Q{n - 1}")]})
        for n in range(2, 2000)
    ]
    packed = gzip.compress(as_array(many))
    file.write_bytes(packed[: len(packed) // 2])
    found = read(file)
    assert "the compressed data is damaged" in found.problems[-1]
    assert 100 < len(found.facts()) < 1998


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=5)
    | st.sampled_from(["item", "Q1", "P1", "value"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "id",
                    "labels",
                    "en",
                    "value",
                    "claims",
                    "P1",
                    "mainsnak",
                    "snaktype",
                    "datavalue",
                    "rank",
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(
    st.fixed_dictionaries(
        {"type": st.just("item"), "id": st.just("Q1"), "claims": json_values, "labels": json_values}
    )
)
@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    deadline=None,
)
def test_any_json_is_an_entity_or_a_problem(
    read: Read, tmp_path_factory: pytest.TempPathFactory, entity: dict[str, Any]
) -> None:
    file = tmp_path_factory.mktemp("wikidata") / "dump.json"
    file.write_bytes(as_lines([entity, BERLIN]))
    found = read(file)
    assert len(found.graph) + len(found.problems) == 2
