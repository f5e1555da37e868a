"""Continue from old vectors after a graph has grown: known entities keep theirs, new ones start near neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kg.arrays import Floats32, Ints
from kg.store import Graph
from kg.vectors import RELATION_IDS, TABLE, map_table, open_vectors, read_ids, require_fit


@dataclass(frozen=True)
class WarmStart:
    """Initial vectors: a table [n, D] for the entities `entity_rows` [n], and the same for relations."""

    entity_rows: Ints
    entities: Floats32
    relation_rows: Ints
    relations: Floats32


def start_from(folder: Path, graph: Graph, place_new: bool = True) -> WarmStart:
    """The vectors in `folder` (`save_vectors`) of the entities and relations of `graph`, matched by id.

    With `place_new`, an entity without a vector gets the mean of TransE's predictions from its neighbours with one: h +
    r for a tail, t − r for a head. Raises ValueError if the folder has no relation vectors, ids and vectors do not
    match, or no entity is known.
    """
    old = open_vectors(folder)
    if not (folder / RELATION_IDS).is_file():
        raise ValueError(
            f"{folder}: {RELATION_IDS} is missing; vectors of relations are needed to continue from"
        )
    relation_ids, relations = read_ids(folder / RELATION_IDS), map_table(folder / TABLE, "relations")
    require_fit(folder / RELATION_IDS, relation_ids, relations)
    rows = old.rows(graph.ids)
    entity_rows = np.flatnonzero(rows >= 0)
    if not len(entity_rows):
        raise ValueError(f"{folder}: has no vector for any of the graph's entities")
    relation_rows, relations_found = _match([relation.id for relation in graph.relations], relation_ids)
    start = WarmStart(
        entity_rows,
        old.matrix[rows[entity_rows]],
        relation_rows,
        relations[relations_found],
    )
    return _place_new(start, graph) if place_new else start


def _match(wanted: list[str], ids: list[str]) -> tuple[Ints, Ints]:
    """The indices of equal ids in `wanted` and in `ids`."""
    places = {id: place for place, id in enumerate(ids)}
    pairs = [(row, places[id]) for row, id in enumerate(wanted) if id in places]
    rows, found = np.asarray(pairs, np.int64).reshape(-1, 2).T
    return rows, found


def _place_new(start: WarmStart, graph: Graph) -> WarmStart:
    """`start` with the new entities that have a triple of a known relation with a known entity."""
    entities, relations = len(graph), len(graph.relations)
    place, relation_place = np.full(entities, -1), np.full(relations, -1)
    place[start.entity_rows] = np.arange(len(start.entity_rows))
    relation_place[start.relation_rows] = np.arange(len(start.relation_rows))
    sums, counts = np.zeros((entities, start.entities.shape[1])), np.zeros(entities)
    triples = graph.triples("train")
    triples = triples[relation_place[triples[:, 1]] >= 0]
    for new, known, sign in ((2, 0, 1), (0, 2, -1)):
        tied = triples[(place[triples[:, new]] < 0) & (place[triples[:, known]] >= 0)]
        shift = start.relations[relation_place[tied[:, 1]]]
        np.add.at(sums, tied[:, new], start.entities[place[tied[:, known]]] + sign * shift)
        np.add.at(counts, tied[:, new], 1)
    placed = np.flatnonzero(counts)
    means = (sums[placed] / counts[placed, None]).astype(np.float32)
    return WarmStart(
        np.concatenate([start.entity_rows, placed]),
        np.concatenate([start.entities, means]),
        start.relation_rows,
        start.relations,
    )
