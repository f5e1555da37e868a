"""The triples of a graph that may be injected, grouped by head entity."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from kepipe.arrays import Floats, Ints, ranges
from kg.store import Graph, Triples


@dataclass(frozen=True)
class Facts:
    """n triples sorted by head; those of entity e are `starts[e]` … `starts[e + 1]` − 1.

    `triples`: int32 [n, 3] of head, relation, tail. `starts`: int [E + 1].
    """

    triples: Triples
    starts: Ints

    @classmethod
    def of(cls, graph: Graph, splits: Iterable[str]) -> Facts:
        """The triples of some splits; those of an entity in the graph's order: by the rows of relation, then tail."""
        parts = [graph.triples(split) for split in splits]
        triples = np.concatenate(parts) if len(parts) != 1 else np.asarray(parts[0])
        if len(parts) > 1:
            triples = triples[np.lexsort(triples.T[::-1])]
        return cls(triples, np.searchsorted(triples[:, 0], np.arange(len(graph) + 1)).astype(np.int64))

    def count(self, entities_M: Ints) -> Ints:
        """The number of triples of each entity, int [M]; 0 for −1."""
        counts = self.starts[entities_M + 1] - self.starts[np.maximum(entities_M, 0)]
        return np.where(entities_M >= 0, counts, 0)

    def first(self, entities_M: Ints, most: int) -> tuple[Ints, Ints]:
        """Up to `most` triples of each entity: index into `entities_M` and index of the triple, int [C] each."""
        counts = np.minimum(self.count(entities_M), most)
        return np.repeat(np.arange(len(entities_M)), counts), ranges(
            self.starts[np.maximum(entities_M, 0)], counts
        )

    def ranked(self, static_score: Floats) -> Facts:
        """The facts with those of each entity sorted by falling `static_score`, float [n]; ties keep the graph's
        order."""
        return Facts(self.triples[np.lexsort((-static_score, self.triples[:, 0]))], self.starts)
