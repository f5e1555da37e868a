"""A graph on disk: memory-mapped columns, so that a graph of any size opens in milliseconds.

An entity is identified by its *row*, 0 … E − 1, in the order of first occurrence in the source. The folder:

    graph.json                   counts, digest, version of the format
    ids, labels, descriptions    strings [E]
    aliases, alias_starts        strings, and int64 [E + 1] start of each entity's
    types, type_starts           int32 rows of type_names, and int64 [E + 1]
    type_members, member_starts  the inverse: the entities of each type
    prior                        float64 [E]
    further_ids, further_id_rows strings, and int32 the row of each: ids of other sources, if any
    id_hashes, id_rows           uint64 [E] sorted, and the row of each
    relation_ids, relation_labels
    split.train, split.valid, …  int32 [n, 3] head, relation, tail: distinct, sorted
    by_head, head_starts         all triples sorted by head, and int64 [E + 1]
    by_tail, tail_starts         all triples sorted by tail, and int64 [E + 1]
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kg.arrays import Floats, Ints, Ints32
from kg.columns import Column, Strings, load
from kg.id_index import IdIndex
from kg.regular_files import read_json
from kg.schema import Entity, Relation

FORMAT = 1
Triples = Ints32


class UnknownEntityError(KeyError):
    """An id that the graph does not have."""

    def __str__(self) -> str:
        return str(self.args[0])


def open_graph(folder: Path) -> Graph:
    """Open a stored graph. Raises ValueError if `folder` is none, or has another format version."""
    file = folder / "graph.json"
    try:
        about = read_json(file)
    except (FileNotFoundError, NotADirectoryError):
        hint = "; it is a file, to be imported first" if folder.is_file() else ""
        raise ValueError(f"{folder}: holds no stored graph (graph.json is missing){hint}") from None
    except ValueError as error:
        raise ValueError(f"{file}: damaged ({error}); import the graph again") from None
    if not isinstance(about, dict) or "format" not in about:
        raise ValueError(f"{file}: not of a stored graph")
    if about["format"] != FORMAT:
        raise ValueError(f"{file}: format {about.get('format')}, expected {FORMAT}; import the graph again")
    return Graph(folder, about)


class Graph:
    """A stored graph, read-only. Columns are mapped when first used."""

    def __init__(self, folder: Path, about: dict[str, Any]) -> None:
        self.folder = folder
        self._about = about
        self._columns: dict[str, Column] = {}

    def __reduce__(self) -> Any:
        return open_graph, (self.folder,)  # other processes map the same files

    def __len__(self) -> int:
        return int(self._about["counts"]["entities"])

    @property
    def digest(self) -> str:
        """SHA-256 of the content: two graphs with equal columns have equal digests."""
        return str(self._about["digest"])

    def describe(self) -> dict[str, int]:
        """Counts: entities, relations, types, aliases, triples, and triples of each split."""
        return dict(self._about["counts"])

    # Entities

    @cached_property
    def ids(self) -> Strings:
        return Strings.load(self.folder, "ids")

    @cached_property
    def labels(self) -> Strings:
        return Strings.load(self.folder, "labels")

    @cached_property
    def descriptions(self) -> Strings:
        return Strings.load(self.folder, "descriptions")

    @cached_property
    def alias_strings(self) -> Strings:
        """All aliases, entity by entity; `alias_starts`, int64 [E + 1]: where those of each entity begin."""
        return Strings.load(self.folder, "aliases")

    @property
    def alias_starts(self) -> Ints:
        return self._column("alias_starts")

    def further_ids(self) -> Iterator[tuple[str, int]]:
        """Ids of entities in other sources, each with the row; one id may have several entities."""
        if (self.folder / "further_id_rows.npy").is_file():
            yield from zip(
                Strings.load(self.folder, "further_ids"),
                self._column("further_id_rows").tolist(),
                strict=True,
            )

    @property
    def prior(self) -> Floats:
        """A non-negative weight of each entity: float64 [E], all 0 if the source has none."""
        return self._column("prior")

    @property
    def degrees(self) -> Ints:
        """The number of triples of each entity: int64 [E]."""
        return np.diff(self._column("head_starts")) + np.diff(self._column("tail_starts"))

    @cached_property
    def type_names(self) -> list[str]:
        """All types, sorted."""
        return list(Strings.load(self.folder, "type_names"))

    @cached_property
    def _index(self) -> IdIndex:
        return IdIndex(self.ids, self._column("id_hashes"), self._column("id_rows"))

    def row(self, id: str) -> int:
        """The row of an entity. Raises UnknownEntityError."""
        row = self._index.find(id)
        if row < 0:
            raise UnknownEntityError(f"no entity {id!r} in the graph {self.folder}")
        return row

    def __contains__(self, id: str) -> bool:
        return self._index.find(id) >= 0

    def find(self, ids: Iterable[str]) -> Ints:
        """The rows of several ids, −1 if unknown: int64 [n]."""
        return self._index.find_all(list(ids))

    def rows(self, ids: Iterable[str]) -> Ints32:
        """The rows of several entities: int32 [n]. Raises UnknownEntityError."""
        asked = list(ids)
        found = self.find(asked)
        if (found < 0).any():
            raise UnknownEntityError(f"no entity {asked[int(found.argmin())]!r} in the graph {self.folder}")
        return found.astype(np.int32)

    def entity(self, row: int) -> Entity:
        """All attributes of an entity."""
        return Entity(
            self.ids[row],
            self.labels[row],
            self.aliases(row),
            self.descriptions[row],
            self.types(row),
            float(self.prior[row]),
        )

    def aliases(self, row: int) -> tuple[str, ...]:
        starts = self.alias_starts
        return tuple(self.alias_strings[int(starts[row]) : int(starts[row + 1])])

    def types(self, row: int) -> tuple[str, ...]:
        members = _piece(self._column("types"), self._column("type_starts"), row)
        return tuple(self.type_names[number] for number in members.tolist())

    def rows_of_type(self, type: str) -> Ints32:
        """The rows of the entities of a type, ascending: int32 [n]; empty for an unknown type."""
        if type not in self.type_names:
            return np.zeros(0, np.int32)
        number = self.type_names.index(type)
        return _piece(self._column("type_members"), self._column("member_starts"), number)

    # Relations and triples

    @cached_property
    def relations(self) -> list[Relation]:
        """The relations, by row."""
        ids, labels = (Strings.load(self.folder, name) for name in ("relation_ids", "relation_labels"))
        return [Relation(id, label) for id, label in zip(ids, labels, strict=True)]

    def relation(self, row: int) -> Relation:
        return self.relations[row]

    def relation_row(self, id: str) -> int:
        """The row of a relation. Raises KeyError."""
        return self._relation_rows[id]

    @cached_property
    def _relation_rows(self) -> dict[str, int]:
        return {relation.id: row for row, relation in enumerate(self.relations)}

    @property
    def splits(self) -> list[str]:
        """The splits of the triples: "train", and "valid", "test" if there are any."""
        return list(self._about["splits"])

    def triples(self, split: str = "train") -> Triples:
        """The triples of a split by rows: int32 [n, 3] head, relation, tail; empty for a missing split."""
        return self._column(f"split.{split}") if split in self.splits else np.zeros((0, 3), np.int32)

    def by_head(self, row: int) -> Triples:
        """All triples, of every split, whose head is `row`: int32 [k, 3]."""
        return _piece(self._column("by_head"), self._column("head_starts"), row)

    def by_tail(self, row: int) -> Triples:
        """All triples, of every split, whose tail is `row`: int32 [k, 3]."""
        return _piece(self._column("by_tail"), self._column("tail_starts"), row)

    def _column(self, name: str) -> Column:
        if name not in self._columns:
            self._columns[name] = load(self.folder, name)
        return self._columns[name]


def _piece(values: Column, starts: Ints, row: int) -> Column:
    return values[starts[row] : starts[row + 1]]
