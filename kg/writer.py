"""Write a graph in the format of `kg.store`.

A source adds entities and relations, then triples by rows; `finish` sorts, indexes and digests. Only ids,
triples and lengths are in memory, so that a graph of millions fits on a laptop.
"""

from __future__ import annotations

import hashlib
import json
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from kg.arrays import Ints
from kg.columns import Column, Strings, StringsWriter, encode, offsets, save, save_strings
from kg.id_index import IdIndex
from kg.numbering import Numbering
from kg.schema import Entity, Relation, Triple
from kg.store import FORMAT, Graph, Triples, open_graph

SPLITS = ("train", "valid", "test")


class NewIds(NamedTuple):
    """New ids as an Arrow array, and the index of the first occurrence of each: int64 [n]."""

    ids: Any
    places: Ints


class GraphWriter:
    """Collects a graph; `entity_rows` and `relation_rows` map the ids so far to their rows."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._entities, self._relations = Numbering(), Numbering()
        self._relation_labels: list[str] = []
        self._triples: dict[str, list[Triples]] = {}
        self._ids, self._labels, self._descriptions, self._aliases = (
            StringsWriter(folder, name) for name in ("ids", "labels", "descriptions", "aliases")
        )
        self._alias_counts, self._prior = array("q"), array("d")
        self._types: dict[str, int] = {}
        self._entity_types, self._type_counts = array("i"), array("q")
        self._further_ids: StringsWriter | None = None
        self._further_rows = array("i")
        self.repeated: Counter[str] = Counter()
        """Duplicate triples that `finish` dropped: description → count."""

    @property
    def entity_rows(self) -> dict[str, int]:
        """Id → row of the entities so far, read-only."""
        return self._entities.numbers

    @property
    def relation_rows(self) -> dict[str, int]:
        """Id → row of the relations so far, read-only."""
        return self._relations.numbers

    def add_entity(self, entity: Entity) -> int:
        """Store an entity and return its row. Raises ValueError for a duplicate id or invalid text."""
        # Encode all texts first, so that an entity with an invalid one leaves nothing behind.
        id, label, description = map(encode, (entity.id, entity.label, entity.description))
        aliases = [encode(alias) for alias in entity.aliases]
        for type in entity.types:
            encode(type)
        row = self._entities.add(entity.id)
        if row is None:
            raise ValueError(f"duplicate entity {entity.id!r}")
        self._ids.append(id)
        self._labels.append(label)
        self._descriptions.append(description)
        for alias in aliases:
            self._aliases.append(alias)
        self._alias_counts.append(len(entity.aliases))
        self._prior.append(entity.prior)
        self._entity_types.extend(self._types.setdefault(type, len(self._types)) for type in entity.types)
        self._type_counts.append(len(entity.types))
        return row

    def add_further_ids(self, row: int, ids: Iterable[str]) -> None:
        """Store ids of the entity of a row in other sources; invalid text is skipped."""
        for id in ids:
            with suppress(ValueError):
                data = encode(id)
                if self._further_ids is None:
                    self._further_ids = StringsWriter(self.folder, "further_ids")
                self._further_ids.append(data)
                self._further_rows.append(row)

    def add_relation(self, relation: Relation) -> int:
        """Store a relation and return its row. Raises ValueError as `add_entity`."""
        encode(relation.id + relation.label)
        row = self._relations.add(relation.id)
        if row is None:
            raise ValueError(f"duplicate relation {relation.id!r}")
        self._relation_labels.append(relation.label)
        return row

    def add_facts(self, split: str, heads: Any, relations: Any, tails: Any) -> tuple[NewIds, NewIds]:
        """Store triples by ids: three columns of equal length, pyarrow.LargeStringArray.

        New entities and relations are stored with their id as label and nothing else. Returns these, entities and
        relations, each with the index of its first triple.
        """
        (head_rows, tail_rows), entities, entity_places = self._entities.add_all(heads, tails)
        (relation_rows,), names, relation_places = self._relations.add_all(relations)
        for strings in (self._ids, self._labels):
            strings.extend_arrow(entities)
        self._descriptions.extend_empty(len(entities))
        for column in (self._alias_counts, self._prior, self._type_counts):
            column.frombytes(bytes(column.itemsize * len(entities)))
        self._relation_labels.extend(names.to_pylist())
        self.add_triples(split, np.stack([head_rows, relation_rows, tail_rows], axis=1))
        return NewIds(entities, entity_places), NewIds(names, relation_places)

    def add_triples(self, split: str, triples: Triples) -> None:
        """Store triples by rows, int32 [n, 3] of head, relation, tail, under "train", "valid" or "test"."""
        if split not in SPLITS:
            raise ValueError(f"split {split!r}: expected one of {', '.join(SPLITS)}")
        self._triples.setdefault(split, []).append(np.asarray(triples, np.int32).reshape(-1, 3))

    def count(self, split: str) -> int:
        """The number of triples added to a split so far, including duplicates."""
        return sum(map(len, self._triples.get(split, [])))

    def triples(self, split: str) -> Triples:
        """The triples added to a split so far."""
        return np.concatenate(self._triples.get(split) or [np.zeros((0, 3), np.int32)])

    def relations(self) -> list[Relation]:
        """The relations so far, by row."""
        return [Relation(id, label) for id, label in zip(self._relations, self._relation_labels, strict=True)]

    def keep_relations(self, keep: Callable[[Relation], bool]) -> Counter[str]:
        """Remove other relations and their triples. Returns the label of each removed relation → its triples."""
        relations = self.relations()
        kept = np.array([keep(relation) for relation in relations], bool)
        gone: Counter[str] = Counter()
        splits = {split: self.triples(split) for split in SPLITS if self.count(split)}
        renumbered = np.cumsum(kept, dtype=np.int32) - 1
        for split, triples in splits.items():
            counts = np.bincount(triples[:, 1], minlength=len(relations))
            gone.update(
                {relations[row].label: int(counts[row]) for row in np.flatnonzero(~kept) if counts[row]}
            )
            splits[split] = triples[kept[triples[:, 1]]]
            splits[split][:, 1] = renumbered[splits[split][:, 1]]
        self._relations, self._relation_labels = Numbering(), []
        for relation, is_kept in zip(relations, kept, strict=True):
            if is_kept:
                self.add_relation(relation)
        self.replace_triples(splits)
        return gone

    def replace_triples(self, splits: Mapping[str, Triples]) -> None:
        """Replace all triples added so far, for new splits."""
        self._triples = {}
        for split, triples in splits.items():
            self.add_triples(split, triples)

    def finish(self) -> Graph:
        """Write indexes and `graph.json`, and open the graph. Triples are stored once; `repeated` counts duplicates."""
        for strings in (self._ids, self._labels, self._descriptions, self._aliases):
            strings.close()
        if self._further_ids is not None:
            self._further_ids.close()
            save(self.folder, "further_id_rows", np.frombuffer(self._further_rows, np.int32))
        save(self.folder, "alias_starts", offsets(np.frombuffer(self._alias_counts, np.int64)))
        save(self.folder, "prior", np.frombuffer(self._prior, np.float64))
        save_strings(self.folder, "relation_ids", self._relations)
        save_strings(self.folder, "relation_labels", self._relation_labels)
        self._index_ids()
        self._index_types()
        counts = self._index_triples()
        about = {
            "format": FORMAT,
            "digest": digest_columns(self.folder),
            "splits": [split for split in SPLITS if counts.get(split)],
            "counts": {
                "entities": len(self._entities),
                "relations": len(self._relations),
                "types": len(self._types),
                "aliases": sum(self._alias_counts),
                **counts,
            },
        }
        (self.folder / "graph.json").write_text(json.dumps(about, indent=1))
        return open_graph(self.folder)

    def _index_ids(self) -> None:
        index = IdIndex.of(Strings.load(self.folder, "ids"))
        save(self.folder, "id_hashes", index.hashes)
        save(self.folder, "id_rows", index.rows)

    def _index_types(self) -> None:
        names = sorted(self._types)
        rank = np.zeros(len(names), np.int32)
        for place, name in enumerate(names):
            rank[self._types[name]] = place
        types = rank[np.frombuffer(self._entity_types, np.int32)] if names else np.zeros(0, np.int32)
        counts = np.frombuffer(self._type_counts, np.int64)
        members = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
        save_strings(self.folder, "type_names", names)
        save(self.folder, "types", types)
        save(self.folder, "type_starts", offsets(counts))
        save(self.folder, "type_members", members[np.argsort(types, kind="stable")])
        save(self.folder, "member_starts", offsets(np.bincount(types, minlength=len(names))))

    def _index_triples(self) -> dict[str, int]:
        """Write splits and both indexes. Returns the number of triples in total ("triples") and in each split."""
        entities, relations = len(self._entities), max(len(self._relations), 1)
        seen: list[Ints] = []
        counts = {}
        for split in SPLITS:
            keys = np.sort(_pack(self.triples(split), (0, 1, 2), entities, relations))
            keys = keys[np.append(True, keys[1:] != keys[:-1])[: len(keys)]]
            self.repeated["repeated triples"] += self.count(split) - len(keys)
            # A training triple cannot be held out as well.
            distinct = len(keys)
            for earlier in seen:
                keys = keys[~np.isin(keys, earlier, assume_unique=True)]
            self.repeated[f"{split} triples that an earlier split has"] += distinct - len(keys)
            seen.append(keys)
            counts[split] = len(keys)
            save(self.folder, f"split.{split}", _unpack(keys, (0, 1, 2), entities, relations))
        everything = _unpack(np.sort(np.concatenate(seen)), (0, 1, 2), entities, relations)
        save(self.folder, "by_head", everything)
        save(self.folder, "head_starts", _starts(everything[:, 0], entities))
        keys = np.sort(_pack(everything, (2, 1, 0), entities, relations))
        everything = _unpack(keys, (2, 1, 0), entities, relations)
        save(self.folder, "by_tail", everything)
        save(self.folder, "tail_starts", _starts(everything[:, 2], entities))
        return {"triples": len(everything), **counts}


def write_graph(
    folder: Path,
    entities: Iterable[Entity],
    relations: Iterable[Relation],
    triples: Mapping[str, Iterable[Triple]],
) -> Graph:
    """Write a graph given as objects. Raises KeyError for an entity or relation that is not given."""
    writer = GraphWriter(folder)
    for entity in entities:
        writer.add_entity(entity)
    for relation in relations:
        writer.add_relation(relation)
    rows, names = writer.entity_rows, writer.relation_rows
    for split, facts in triples.items():
        coded = [(rows[fact.head], names[fact.relation], rows[fact.tail]) for fact in facts]
        writer.add_triples(split, np.asarray(coded, np.int32))
    return writer.finish()


Order = tuple[int, int, int]


def _pack(triples: Triples, order: Order, entities: int, relations: int) -> Ints:
    """Each triple as one number that sorts by its columns in `order`."""
    if entities * entities * relations >= 2**63:
        raise ValueError(f"{entities:,} entities × {relations:,} relations: too many for this store's index")
    first, second, third = (triples[:, column].astype(np.int64) for column in order)
    return (first * relations + second) * entities + third


def _unpack(keys: Ints, order: Order, entities: int, relations: int) -> Triples:
    triples = np.empty((len(keys), 3), np.int32)
    rest, triples[:, order[2]] = np.divmod(keys, max(entities, 1))
    triples[:, order[0]], triples[:, order[1]] = np.divmod(rest, relations)
    return triples


def _starts(sorted_rows: Column, entities: int) -> Ints:
    return offsets(np.bincount(sorted_rows, minlength=entities))


def digest_columns(folder: Path) -> str:
    """SHA-256 over the names and digests of all columns."""
    total = hashlib.sha256()
    for file in sorted([*folder.glob("*.npy"), *folder.glob("*.utf8")]):
        with file.open("rb") as stream:
            total.update(file.name.encode() + hashlib.file_digest(stream, "sha256").digest())
    return total.hexdigest()
