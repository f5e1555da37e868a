"""Wikidata's JSON: the dump with one entity per line, as in `latest-all.json.bz2`, and responses of its API; compressed
or not.

All forms of `kg.sources.wikidata_files` are supported. Items become entities (the prior is the number of site links,
types are "instance of"), properties become relations, and each statement whose value is another item of the file
becomes a triple, unless its rank is "deprecated".

Names are stored in a temporary file until the last line is read; memory holds only ids and triples.
"""

from __future__ import annotations

import json
import tempfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kg.arrays import Ints
from kg.columns import encode
from kg.problems import Problems
from kg.regular_files import JsonError, parse_json
from kg.schema import Entity, Relation
from kg.sources.account import Account
from kg.sources.reading import Choices, Tick, explain, rank_language
from kg.sources.wikidata_files import entity_texts
from kg.writer import GraphWriter

INSTANCE_OF = 31


def read_wikidata(
    file: Path, writer: GraphWriter, problems: Problems, tick: Tick, choices: Choices
) -> Account:
    """Read `file` into `writer`. Uses the options `languages` and `min_sitelinks`; ids are Wikidata's, "Q64" and
    "P17"."""
    account = Account()
    property_labels: dict[int, str] = {}
    triples = array("q")
    with tempfile.TemporaryFile("w+", encoding="utf-8") as items:
        for number, text in entity_texts(file, problems, tick):
            try:
                parsed = parse_json(text) if isinstance(text, bytes) else text
                if _kind(parsed) == "property":
                    relation = _number(parsed.get("id"), "P")
                    names = _names(parsed, choices.languages)
                    property_labels[relation] = names[0] if names else f"P{relation}"
                    account.take("properties")
                elif _kind(parsed) != "item":
                    account.leave(f"entities of the kind {_kind(parsed)}")
                elif len(_table(parsed, "sitelinks")) < choices.min_sitelinks:
                    account.leave("items with too few site links")
                else:
                    item, facts = _item(parsed, number, choices.languages, account)
                    items.write(json.dumps(item.fields()) + "\n")
                    triples.extend(facts)
                    account.take("items")
            except JsonError as error:
                problems.add(file, number, f"{error}; one entity a line")
            except ValueError as error:
                problems.add(file, number, explain(error))
        _write_items(file, items, writer, problems)
    _write_triples(triples, property_labels, writer, account)
    return account


@dataclass(frozen=True, slots=True)
class _Item:
    """An item, as stored until all are read. `kinds`: the numbers of the items it is an instance of."""

    line: int
    number: int
    names: list[str]
    description: str
    kinds: list[int]
    sitelinks: int

    def fields(self) -> list[Any]:
        return [self.line, self.number, self.names, self.description, self.kinds, self.sitelinks]


def _item(parsed: Any, line: int, languages: tuple[str, ...], account: Account) -> tuple[_Item, list[int]]:
    """An item from a line of a dump, and its statements: head, property, tail; head, … Raises ValueError."""
    number = _number(parsed.get("id"), "Q")
    facts, kinds = [], []
    for property, statements in _table(parsed, "claims").items():
        relation = _number(property, "P")
        for tail in _values(statements, account):
            if relation == INSTANCE_OF:
                kinds.append(tail)
            else:
                facts += [number, relation, tail]
    descriptions = _texts(_table(parsed, "descriptions"), languages)
    names = _names(parsed, languages)
    sitelinks = len(_table(parsed, "sitelinks"))
    account.take("names", "labels, aliases", len(names))
    account.take("descriptions", "descriptions", len(descriptions[:1]))
    account.take("types", f"P{INSTANCE_OF}", len(kinds))
    account.take("priors", "sitelinks", int(sitelinks > 0))
    if not names:
        account.leave("items without a name in these languages, called by their id")
    item = _Item(line, number, names, descriptions[0] if descriptions else "", kinds, sitelinks)
    return item, facts


def _values(statements: Any, account: Account) -> Iterator[int]:
    """The items that are values of a property. Raises ValueError if a statement does not have Wikidata's form."""
    if not isinstance(statements, list):
        raise ValueError(f"`claims`: expected a list of statements, found {str(statements)[:40]!r}")
    for statement in statements:
        try:
            snak = statement["mainsnak"]
            if statement.get("rank") == "deprecated":
                account.leave("deprecated statements")
            elif snak["snaktype"] != "value":
                account.leave("statements of an unknown value or none")
            elif snak["datavalue"]["type"] != "wikibase-entityid":
                account.leave("literal values")
            elif snak["datavalue"]["value"].get("entity-type", "item") != "item":
                account.leave("statements about other than items")
            else:
                value = snak["datavalue"]["value"]
                # Old dumps have only the number.
                yield _number(value["id"] if "id" in value else f"Q{value['numeric-id']}", "Q")
        except (KeyError, TypeError, AttributeError):
            raise ValueError(f"not a Wikidata statement: {json.dumps(statement)[:60]}") from None


def _write_items(file: Path, items: Any, writer: GraphWriter, problems: Problems) -> None:
    """Write the items, with the labels of the corresponding items as their types."""
    items.seek(0)
    kinds = {kind for line in items for kind in json.loads(line)[4]}
    items.seek(0)
    labels = {item.number: item.names[0] for item in map(_read, items) if item.number in kinds and item.names}
    items.seek(0)
    for item in map(_read, items):
        types = tuple(dict.fromkeys(labels.get(kind, f"Q{kind}") for kind in item.kinds))
        label, *aliases = item.names or [f"Q{item.number}"]
        entity = Entity(
            f"Q{item.number}", label, tuple(aliases), item.description, types, float(item.sitelinks)
        )
        try:
            writer.add_entity(entity)
        except ValueError as error:
            problems.add(file, item.line, str(error))


def _read(line: str) -> _Item:
    return _Item(*json.loads(line))


def _write_triples(flat: array[int], labels: dict[int, str], writer: GraphWriter, account: Account) -> None:
    """Write the triples between items of the file, and the relations that they use."""
    triples = np.frombuffer(flat, np.int64).reshape(-1, 3)
    ids = np.fromiter((int(id[1:]) for id in writer.entity_rows), np.int64, len(writer.entity_rows))
    order = np.argsort(ids)
    known = np.isin(triples[:, 2], ids)
    account.leave("statements about items that the file lacks", count=int((~known).sum()))
    triples = triples[known]
    properties, relations = np.unique(triples[:, 1], return_inverse=True)
    for property in properties.tolist():
        writer.add_relation(Relation(f"P{property}", labels.get(property, f"P{property}")))

    def rows(numbers: Ints) -> Ints:
        return order[np.searchsorted(ids, numbers, sorter=order)]

    coded = np.stack([rows(triples[:, 0]), relations.reshape(-1), rows(triples[:, 2])], axis=1)
    writer.add_triples("train", coded.astype(np.int32))
    for row, count in enumerate(np.bincount(relations.reshape(-1)).tolist()):
        account.take("facts", f"P{properties[row]} {labels.get(int(properties[row]), '')}".rstrip(), count)


# Validation of entities


def _kind(parsed: Any) -> str:
    if not isinstance(parsed, dict) or not isinstance(parsed.get("type"), str):
        raise ValueError('expected an entity such as {"type": "item", "id": "Q64", …}')
    return str(parsed["type"])


def _number(id: Any, letter: str) -> int:
    if not isinstance(id, str) or id[:1] != letter or not (id[1:].isascii() and id[1:].isdecimal()):
        raise ValueError(f"expected an id such as {letter}64, found {id!r}")
    number = int(id[1:])
    if number >= 2**63:
        raise ValueError(f"the id {id} is too large")
    return number


def _table(parsed: dict[str, Any], key: str) -> dict[str, Any]:
    """The object of a key. An empty one is written as `[]` by Wikidata, and may be absent in dumps."""
    table = parsed.get(key) or {}
    if not isinstance(table, dict):
        raise ValueError(f"`{key}`: expected an object, found {str(table)[:40]!r}")
    return table


def _names(parsed: dict[str, Any], languages: tuple[str, ...]) -> list[str]:
    """The label and then the aliases, without duplicates."""
    labels = _texts(_table(parsed, "labels"), languages)
    return list(dict.fromkeys([*labels, *_texts(_table(parsed, "aliases"), languages)]))


def _texts(table: dict[str, Any], languages: tuple[str, ...]) -> list[str]:
    """The texts of a table language → {"value": …} or a list of these, in the order of the languages."""
    ranked = [(rank, table[tag]) for tag in table if (rank := rank_language(tag, languages)) is not None]
    texts = []
    for _, entries in sorted(ranked, key=lambda pair: pair[0]):
        for entry in entries if isinstance(entries, list) else [entries]:
            if not isinstance(entry, dict) or not isinstance(entry.get("value"), str):
                raise ValueError(f'expected {{"value": "a text"}}, found {str(entry)[:40]!r}')
            encode(entry["value"])
            texts.append(" ".join(entry["value"].split()))
    return [text for text in texts if text]
