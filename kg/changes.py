"""The difference between two versions of a graph: entities, triples and names, matched by id."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kg.arrays import Bools, Ints
from kg.store import Graph, Triples


@dataclass(frozen=True)
class GraphChanges:
    """Rows of new entities in the new version; ids of removed ones; numbers of new and removed triples and aliases.
    Aliases are those of entities in both versions, changed labels included."""

    new_entities: Ints
    gone_entities: list[str]
    new_triples: int
    gone_triples: int
    new_aliases: int
    gone_aliases: int

    def __bool__(self) -> bool:
        counts = self.new_triples + self.gone_triples + self.new_aliases + self.gone_aliases
        return bool(len(self.new_entities) or self.gone_entities or counts)


def graph_changes(before: Graph, now: Graph) -> GraphChanges:
    """The changes from `before` to `now`."""
    if before.digest == now.digest:
        return GraphChanges(np.zeros(0, np.int64), [], 0, 0, 0, 0)
    row_now = np.asarray(now.find(before.ids), np.int64)
    known = np.zeros(len(now), bool)
    known[row_now[row_now >= 0]] = True
    gone = [before.ids[row] for row in np.flatnonzero(row_now < 0).tolist()]
    ours, theirs = (np.unique(_keys(_triples(graph), graph, now)) for graph in (now, before))
    new_aliases = gone_aliases = 0
    for row, place in enumerate(row_now.tolist()):
        if place >= 0:
            names, names_now = _names(before, row), _names(now, place)
            new_aliases += len(names_now - names)
            gone_aliases += len(names - names_now)
    common = len(np.intersect1d(ours, theirs[theirs >= 0]))
    return GraphChanges(
        np.flatnonzero(~known), gone, len(ours) - common, len(theirs) - common, new_aliases, gone_aliases
    )


def _names(graph: Graph, row: int) -> set[str]:
    return {graph.labels[row], *graph.aliases(row)}


def trained_on(triples: Triples, now: Graph, before: Graph) -> Bools:
    """Which of the `triples` of the graph `now`, int32 [n, 3], are training triples of `before`: bool [n]."""
    return np.isin(_keys(triples, now, now), _keys(before.triples("train"), before, now))


def _triples(graph: Graph) -> Triples:
    """The triples of all splits."""
    return np.concatenate([np.zeros((0, 3), np.int32), *(graph.triples(split) for split in graph.splits)])


def _keys(triples: Triples, graph: Graph, now: Graph) -> Ints:
    """Each triple of a graph as one number, from the rows of its parts in `now`: int64 [n]; a unique negative one if a
    part is not in `now`."""
    rows = np.asarray(now.find(graph.ids), np.int64)
    relations = {relation.id: row for row, relation in enumerate(now.relations)}
    kinds = np.array([relations.get(relation.id, -1) for relation in graph.relations] or [-1], np.int64)
    heads, kind, tails = rows[triples[:, 0]], kinds[triples[:, 1]], rows[triples[:, 2]]
    keys = (kind * len(now) + heads) * len(now) + tails
    missing = (heads < 0) | (tails < 0) | (kind < 0)
    return np.where(missing, -1 - np.arange(len(keys)), keys)
