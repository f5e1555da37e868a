"""Features of a candidate, one by one."""

from __future__ import annotations

from pathlib import Path

import pytest

from kepipe.data.document import Span
from kepipe.linking.linker import Linker
from kepipe.linking.text.annotations import Annotations, Name
from kepipe.linking.text.casing import Casing
from kg.schema import Entity, Relation, Triple
from kg.writer import write_graph
from tests.support.linking import feature

TOWNS = [f"Town {letter}" for letter in "ABCDEFGHIJ"]


@pytest.fixture(scope="module")
def linker(tmp_path_factory: pytest.TempPathFactory) -> Linker:
    entities = [
        Entity("texas", "Texas", (), "state", ("state",), 9.0),
        Entity("georgia", "Georgia", (), "state", ("state",), 9.0),
        Entity("georgia-country", "Georgia", (), "country", ("country",), 8.0),
        Entity("harris-tx", "Harris County", (), "county", ("county",), 3.0),
        Entity("harris-ga", "Harris County", (), "county", ("county",), 1.0),
        Entity("usa", "United States", (), "country", ("country",), 20.0),
        Entity("nebraska", "Nebraska", (), "state", ("state",), 2.0),
        Entity("houston", "Houston", (), "city", ("city",), 5.0),
        Entity("nowhere", "Nowhere", (), "village", ("village",), 1.0),
        Entity("nebraska-film", "Nebraska", (), "film", ("film",), 1.0),
        Entity("apple", "apple", ("苹果",), "fruit", ("fruit",), 1.0),
        Entity("apple-inc", "Apple Inc.", ("Apple",), "company", ("company",), 1.0),
        Entity("mayor", "mayor", (), "office", ("occupation",), 1.0),
        Entity("german", "German", (), "German is a West Germanic language.", (), 1.0),
        Entity("germans", "German people", ("German",), "Germans are a people.", (), 1.0),
        Entity("post", "The Washington Post", (), "newspaper", ("newspaper",), 1.0),
        Entity("houston-port", "Port of Houston", (), "harbour", (), 1.0),
        *(Entity(town, town, (), "town", ("town",), 1.0) for town in TOWNS),
    ]
    triples = [
        *(Triple(town, "in", state) for town in TOWNS for state in ("texas", "georgia-country")),
        *(Triple(town, "in", "georgia") for town in TOWNS[:7]),
        Triple("texas", "in", "usa"), Triple("georgia", "in", "usa"), Triple("nebraska", "in", "usa"),
        *(Triple(town, "in", "usa") for town in TOWNS),
        Triple("harris-tx", "in", "texas"), Triple("harris-ga", "in", "georgia"),
        Triple("houston", "in", "harris-tx"),
    ]  # fmt: skip
    folder: Path = tmp_path_factory.mktemp("states")
    graph = write_graph(folder, entities, [Relation("in", "in")], {"train": triples})
    return Linker.build(graph, Casing({}))


@pytest.mark.parametrize(
    ("text", "entity", "value"),
    [
        ("a bridge in Harris County, Georgia", "harris-tx", 1.0),
        ("a bridge in Harris County, Georgia", "harris-ga", 0.0),  # in the state, though the country is wider
        ("a bridge in Harris County, Texas", "harris-tx", 0.0),
        ("a bridge in Harris County, Texas", "harris-ga", 1.0),
        ("a bridge in Harris County. Georgia", "harris-tx", 0.0),
        ("from Houston, Texas", "houston", 0.0),  # which holds its county
        ("from Houston, United States", "houston", 0.0),  # which holds Texas
        ("from Houston, Georgia", "houston", 1.0),
        ("from Houston, Nowhere", "houston", 0.0),
        ("from Nowhere, Texas", "nowhere", 0.0),  # whose region is unknown
        ("from Texas, Georgia", "texas", 0.0),
        ("Houston,", "houston", 0.0),
    ],
)
def test_containment_conflict(linker: Linker, text: str, entity: str, value: float) -> None:
    assert feature(linker, text, entity, "elsewhere") == value


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ('He made "Texas" then', True),
        ("He made “Texas,” then", True),
        ("He made 《Texas》", True),
        ('He "made Texas" then', False),
        ("He made Texas", False),
    ],
)
def test_quoted_names(linker: Linker, text: str, quoted: bool) -> None:
    assert feature(linker, text, "texas", "quoted_other") == quoted
    assert feature(linker, text, "texas", "quoted_work") == 0.0
    film = text.replace("Texas", "Nebraska")
    assert feature(linker, film, "nebraska-film", "quoted_work") == quoted
    assert feature(linker, film, "nebraska-film", "quoted_other") == 0.0


def test_a_capitalised_concept_within_a_sentence_is_penalised(linker: Linker) -> None:
    assert feature(linker, "He works for Apple.", "apple", "concept_capital") == 1.0
    assert feature(linker, "He works for Apple.", "apple-inc", "concept_capital") == 0.0
    assert feature(linker, "He eats an apple.", "apple", "concept_capital") == 0.0
    assert feature(linker, "Apple is a fruit.", "apple", "concept_capital") == 0.0
    assert feature(linker, "THE APPLE FELL", "apple", "concept_capital") == 0.0
    assert feature(linker, 'He said: "Apple is good."', "apple", "concept_capital") == 0.0
    assert feature(linker, "我吃苹果。", "apple", "concept_capital") == 0.0
    assert feature(linker, "She saw Mayor Hall.", "mayor", "concept_capital") == 0.0  # a person can be that


def test_relations_to_named_entities(linker: Linker) -> None:
    text = "In The Washington Post, Houston wrote of Port of Houston and Harris County."
    names = (
        Name(7, 17, "GPE"),  # Washington
        Name(24, 31, "PERSON"),
        Name(41, 56, "FAC"),  # Port of Houston
        Name(57, 67, "ORG"),  # and Harris
    )
    annotation = Annotations((Span(0, len(text)),), (), names=names)

    def relation(entity: str) -> list[str]:
        kinds = ("same", "inside", "around", "across")
        return [kind for kind in kinds if feature(linker, text, entity, f"name_{kind}", annotation)]

    assert relation("post") == ["around"]
    assert relation("houston") == ["same"]
    assert relation("houston-port") == ["same"]
    assert relation("harris-tx") == ["across"]


def test_language_entity_is_no_nationality(linker: Linker) -> None:
    text = "a German word"
    for label, entity in (("LANGUAGE", "german"), ("NORP", "germans")):
        annotation = Annotations((Span(0, len(text)),), (), names=(Name(2, 8, label),))
        other = "germans" if entity == "german" else "german"
        assert feature(linker, text, entity, "kind_same", annotation) == 1.0
        assert feature(linker, text, other, "kind_clash", annotation) == 1.0
