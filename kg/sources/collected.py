"""Collects a graph whose parts may occur in any order in a source: names, types, triples and further ids, each with its
origin."""

from __future__ import annotations

from array import array
from collections import Counter, defaultdict
from collections.abc import Callable
from itertools import count

import numpy as np

from kg.arrays import Ints32
from kg.schema import Entity, Relation
from kg.sources.account import Account
from kg.sources.gathered import KINDS, Gathered
from kg.sources.vocabularies import Role
from kg.writer import GraphWriter


class Collected:
    """A graph under construction. Ids are numbered in order of occurrence; only ids and triples are held in memory."""

    def __init__(self, unnamed: Callable[[str], str] = str) -> None:
        """`unnamed`: function from the id of an entity without a name to its label."""
        self._unnamed = unnamed
        self.account = Account()
        self._numbers: dict[str, int] = defaultdict(count().__next__)
        self._said = Gathered()
        self._triples: dict[str, array[int]] = {}
        self._relations: dict[str, int] = defaultdict(count().__next__)
        self._labels: dict[str, str] = {}
        self._priors: dict[int, float] = {}
        self._gone: set[int] = set()
        self._moved: dict[int, str] = {}

    def entity(self, id: str) -> None:
        """Add an entity."""
        self._numbers[id]

    def tell(self, id: str, role: Role, text: str, by: str = "", rank: int = 0) -> None:
        """Add a text of an entity: a name, an alias, a description, a type or a further id. `rank` 0 is the best."""
        text = " ".join(text.split())
        if text:
            self._said.add(self._numbers[id], KINDS[role], min(rank, 255), text)
            self.account.take(role.value, by)

    def prior(self, id: str, value: float) -> None:
        """Set the prior weight of an entity."""
        self._priors[self._numbers[id]] = value
        self.account.take(Role.PRIOR.value)

    def relation(self, id: str, label: str) -> None:
        """Set the label of a relation."""
        self._labels[id] = " ".join(label.split()) or id

    def triple(self, head: str, relation: str, tail: str, by: str = "", split: str = "train") -> None:
        """Add a triple."""
        numbers, ids = self._numbers, self._relations
        self._triples.setdefault(split, array("i")).extend((numbers[head], ids[relation], numbers[tail]))
        self.account.take(Role.FACT.value, by)

    def remove(self, id: str, what: str, instead: str | None = None) -> None:
        """Exclude an entity and its triples, with `what` as the reason. `instead`: the entity that gets its id as a
        further id."""
        number = self._numbers[id]
        if number not in self._gone:
            self.account.leave(what)
        self._gone.add(number)
        if instead is not None:
            self._moved[number] = instead

    def store(self, writer: GraphWriter) -> Account:
        """Write everything to the writer. The collection cannot be used afterwards."""
        ids = list(self._numbers)
        for number, instead in self._moved.items():
            if instead in self._numbers:
                self.tell(instead, Role.FURTHER_ID, ids[number], "ids replaced")
        self._said.seal(len(ids))
        rows = np.full(len(ids), -1, np.int32)
        for number, id in enumerate(ids):
            if number not in self._gone:
                rows[number] = self._store_entity(writer, id, number)
        self._store_triples(writer, rows)
        self.account.take("entities", count=int((rows >= 0).sum()))
        return self.account

    def _store_entity(self, writer: GraphWriter, id: str, number: int) -> int:
        texts: dict[str, list[str]] = {kind: [] for kind in KINDS.values()}
        for kind, _, text in self._said.of(number):
            texts[kind].append(text)
        label, *aliases = dict.fromkeys([*(texts["l"] or [self._unnamed(id)]), *texts["a"]])
        description = next(iter(texts["d"]), "")
        types = tuple(dict.fromkeys(texts["t"]))
        entity = Entity(id, label, tuple(aliases), description, types, self._priors.get(number, 0.0))
        row = writer.add_entity(entity)
        writer.add_further_ids(row, (other for other in dict.fromkeys(texts["i"]) if other != id))
        return row

    def _store_triples(self, writer: GraphWriter, rows: Ints32) -> None:
        ids = list(self._relations)
        relation_rows = np.full(len(ids), -1, np.int32)
        kept = {}
        for split, flat in self._triples.items():
            triples = np.frombuffer(flat, np.int32).reshape(-1, 3)
            heads, relations, tails = rows[triples[:, 0]], triples[:, 1], rows[triples[:, 2]]
            known = (heads >= 0) & (tails >= 0)
            for relation, n in Counter(relations[~known].tolist()).items():
                self.account.leave(
                    "statements about entities that were left out",
                    self._labels.get(ids[relation], ids[relation]),
                    n,
                )
            kept[split] = np.stack([heads, relations, tails], axis=1)[known]
        for used in np.unique(
            np.concatenate([found[:, 1] for found in kept.values()] or [np.zeros(0, np.int32)])
        ):
            id = ids[used]
            relation_rows[used] = writer.add_relation(Relation(id, self._labels.get(id, id)))
        for split, triples in kept.items():
            triples[:, 1] = relation_rows[triples[:, 1]]
            writer.add_triples(split, triples)
