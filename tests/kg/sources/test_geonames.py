"""GeoNames as a graph: well-known facts, and useful names."""

from __future__ import annotations

from pathlib import Path

import pytest

from kg.lexicon import Lexicon
from kg.problems import Problems
from kg.sources.geonames import RELATIONS, _aliases, _dubious, read_geonames
from kg.sources.reading import Choices
from kg.store import Graph
from kg.writer import GraphWriter

BERLIN, POTSDAM, MUNICH = "geonames:2950159", "geonames:2852458", "geonames:2867714"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    writer = GraphWriter(tmp_path_factory.mktemp("world"))
    read_geonames(Path("geonames"), writer, Problems(), lambda _: None, Choices(min_population=100_000))
    return writer.finish()


def facts(graph: Graph, id: str) -> set[tuple[str, str]]:
    found = graph.by_head(graph.row(id)).tolist()
    return {(graph.relation(relation).id, graph.ids[tail]) for _, relation, tail in found}


def test_geonames_facts_of_a_city(world: Graph) -> None:
    assert facts(world, BERLIN) >= {
        ("located_in", "country:DE"),
        ("in_timezone", "timezone:Europe/Berlin"),
        ("capital_of", "country:DE"),
    }
    assert ("near", BERLIN) in facts(world, POTSDAM)
    assert not any(relation == "near" and tail == POTSDAM for relation, tail in facts(world, BERLIN))


def test_geonames_facts_of_a_country(world: Graph) -> None:
    assert facts(world, "country:CH") >= {
        ("on_continent", "continent:EU"),
        ("uses_currency", "currency:CHF"),
        ("neighbours", "country:DE"),
        ("neighbours", "country:LI"),
        ("speaks", "language:de"),
        ("speaks", "language:rm"),
    }
    assert ("located_in", "country:US") in facts(world, "state:NY")
    assert ("in_state", "state:NY") in facts(world, "geonames:5128581")


def test_capitals_are_found_without_accents(world: Graph) -> None:
    assert ("has_capital", "geonames:3688689") in facts(world, "country:CO")  # Bogotá, "Bogota" in the table


def test_geonames_entities_have_label_types_and_prior(world: Graph) -> None:
    berlin = world.entity(world.row(BERLIN))
    assert (berlin.label, berlin.types, berlin.prior) == ("Berlin", ("city", "capital"), 3426354.0)
    assert berlin.description == "capital in Germany"
    assert {"柏林", "Берлин", "Berlino"} <= set(berlin.aliases)
    assert {relation.id for relation in world.relations} == set(RELATIONS)
    assert world.prior[world.rows_of_type("city")].min() >= 100_000
    assert len(world.rows_of_type("continent")) == 7
    assert len(world.rows_of_type("country")) == 252


def test_geonames_aliases_are_filtered(world: Graph) -> None:
    aliases = set(world.aliases(world.row(BERLIN)))
    assert not aliases & {"BER", "bai lin", "berlini", ""}
    assert "NYC" in world.aliases(world.row("geonames:5128581"))
    lexicon = Lexicon.build(world)
    best = {
        name: world.ids[lexicon.candidates(name)[0].row]
        for name in ("Munich", "UK", "U.S.", "euro", "German language")
    }
    assert best == {
        "Munich": MUNICH,
        "UK": "country:GB",
        "U.S.": "country:US",
        "euro": "currency:EUR",
        "German language": "language:de",
    }
    assert lexicon.candidates("real") == []
    assert lexicon.candidates("us") == []


def test_ambiguous_transliteration_is_dropped() -> None:
    cities = [
        {"name": name} for name in ("Ávila", "Edinburgh", "Olomouc", "Évora", "Ivrea", "Springfield", "Salem")
    ]
    aebura, town = ("Aebura", "Эбура"), ("Olomoutz", "Springfild")
    assert _dubious(cities, [aebura] * 5 + [town] * 2) == {"Aebura"}
    assert _dubious(cities, [aebura] * 4 + [town] * 3) == set()  # four may be
    assert _dubious(cities, [town] * 7) == set()  # one of them is called nearly so
    assert _dubious([*cities, {"name": "Aébura"}], [aebura] * 5 + [town] * 3) == set()  # a city's own name


def test_wrongly_encoded_name_is_dropped() -> None:
    assert _aliases("Aba", ["\x9fAA¬²±", "Абà", "می\u200cشهر"]) == ("Абà", "می\u200cشهر")
