"""Continue from old vectors when a graph has grown: the known keep theirs, the new start near their neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kg.arrays import Floats32, Ints
from kg.store import Graph
from kg.vectors import RELATION_IDS, TABLE, map_table, open_vectors, read_ids, require_fit


@dataclass(frozen=True)
class WarmStart:
    """Vectors to begin with: of the entities `entity_rows` [n] the table [n, D], of the relations likewise."""

    entity_rows: Ints
    entities: Floats32
    relation_rows: Ints
    relations: Floats32


def start_from(folder: Path, graph: Graph, place_new: bool = True) -> WarmStart:
    """The vectors that `save_vectors` wrote into `folder`, for the entities and relations of `graph`, found by id.

    With `place_new`, an entity that has none is put at the mean of its neighbours that have one, each moved along
    the relation as TransE means it: h + r for a tail, t − r for a head. Raises ValueError where the folder lacks
    the vectors of relations, ids and vectors do not fit each other, or no entity is known.
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
        raise ValueError(f"{folder}: has a vector of none of the graph's entities")
    relation_rows, relations_found = _match([relation.id for relation in graph.relations], relation_ids)
    start = WarmStart(
        entity_rows,
        old.matrix[rows[entity_rows]],
        relation_rows,
        relations[relations_found],
    )
    return _place_new(start, graph) if place_new else start


def _match(wanted: list[str], ids: list[str]) -> tuple[Ints, Ints]:
    """Where `wanted` and `ids` hold the same id: the places in both."""
    places = {id: place for place, id in enumerate(ids)}
    pairs = [(row, places[id]) for row, id in enumerate(wanted) if id in places]
    rows, found = np.asarray(pairs, np.int64).reshape(-1, 2).T
    return rows, found


def _place_new(start: WarmStart, graph: Graph) -> WarmStart:
    """The same with the new entities that a triple of a known relation ties to a known entity."""
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
