"""Link prediction: rank the missing end of held-out triples among all entities, fast on a CPU.

Filtered ranks (Bordes et al. 2013, section 4.2): other answers that are true in any split are excluded. Ties count half
("realistic" ranks, Berrendorf et al. 2020).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from kg.arrays import AnyFloats, Floats32, Ints
from kg.store import Graph, Triples

Tick = Callable[[int], None]
"""Called with the number of ranks computed since the last call."""

_BLOCK_VALUES = 1 << 24
"""Maximum number of distances in memory: 64 MB of float32."""


class Scorer(Protocol):
    """Distances of all entities as answers: lower is better."""

    def tails(self, heads: Ints, relations: Ints) -> AnyFloats:
        """Distance of every entity as tail of n (head, relation): [n, E]."""

    def heads(self, relations: Ints, tails: Ints) -> AnyFloats:
        """Distance of every entity as head of n (relation, tail): [n, E]."""


@dataclass(frozen=True)
class Translation:
    """TransE's distance ‖h + r − t‖ₚ (Bordes et al. 2013, eq. 1) of vectors [E, D] and [R, D]."""

    entities: Floats32
    relations: Floats32
    norm: float = 1.0

    def tails(self, heads: Ints, relations: Ints) -> AnyFloats:
        return self._distance(self.entities[heads] + self.relations[relations])

    def heads(self, relations: Ints, tails: Ints) -> AnyFloats:
        return self._distance(self.entities[tails] - self.relations[relations])

    def _distance(self, points: Floats32) -> AnyFloats:
        import torch

        return np.asarray(torch.cdist(torch.from_numpy(points), self._table, p=self.norm).numpy())

    @cached_property
    def _table(self) -> Any:
        """The entities as a torch tensor; a copy if they are mapped read-only, which torch does not support."""
        import torch

        return torch.from_numpy(np.require(self.entities, requirements="W"))


class Popularity:
    """A baseline without embeddings: how often an entity is the head or the tail of the relation in training
    triples."""

    def __init__(self, graph: Graph) -> None:
        trained = graph.triples("train")
        shape = (len(graph.relations), len(graph))
        self._as_head, self._as_tail = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        np.subtract.at(self._as_head, (trained[:, 1], trained[:, 0]), 1)
        np.subtract.at(self._as_tail, (trained[:, 1], trained[:, 2]), 1)

    def tails(self, heads: Ints, relations: Ints) -> AnyFloats:  # noqa: ARG002
        return self._as_tail[relations]

    def heads(self, relations: Ints, tails: Ints) -> AnyFloats:  # noqa: ARG002
        return self._as_head[relations]


def filtered_ranks(graph: Graph, triples: Triples, scorer: Scorer, tick: Tick = lambda _: None) -> AnyFloats:
    """The filtered rank of each triple's head (column 0) and tail (column 1): float64 [n, 2], 1 is best."""
    ranks = np.empty((len(triples), 2))

    def heads_known(tail: int) -> Triples:
        return graph.by_tail(tail)[:, ::-1]

    def head_distances(tails: Ints, relations: Ints) -> AnyFloats:
        return scorer.heads(relations, tails)

    ranks[:, 0] = _ranks(triples[:, ::-1], heads_known, head_distances, len(graph), tick)
    ranks[:, 1] = _ranks(triples, graph.by_head, scorer.tails, len(graph), tick)
    return ranks


def _ranks(
    triples: Triples,
    known: Callable[[int], Triples],
    distances: Callable[[Ints, Ints], AnyFloats],
    entities: int,
    tick: Tick,
) -> AnyFloats:
    """Rank the last column of `triples`, given the first two; `known` are the facts with that first column.

    Triples with the same query share one row of distances, whose computation is most of the work.
    """
    order = np.lexsort((triples[:, 1], triples[:, 0]))
    asked, question = np.unique(triples[order, :2].astype(np.int64), axis=0, return_inverse=True)
    question, answer = question.reshape(-1), triples[order, 2]
    ranks = np.empty(len(triples))
    size = max(1, _BLOCK_VALUES // max(entities, 1))
    for first in range(0, len(asked), size):
        block = asked[first : first + size]
        distance = distances(block[:, 0], block[:, 1])
        begin, end = np.searchsorted(question, [first, first + len(block)])
        row, truth = question[begin:end] - first, answer[begin:end]
        wanted = distance[row, truth]
        assert np.isfinite(wanted).all(), "the scorer returned distances that are not finite"
        for place, (anchor, relation) in enumerate(block.tolist()):
            facts = known(anchor)
            distance[place, facts[facts[:, 1] == relation, 2]] = np.inf
        ranks[order[begin:end]] = _count(distance, row, wanted)
        tick(end - begin)
    return ranks


def _count(distance: AnyFloats, row: Ints, wanted: AnyFloats) -> AnyFloats:
    """1 + the number of nearer candidates + half the number of equally near ones, for each wanted distance."""
    ranks = np.empty(len(row))
    for place, (number, value) in enumerate(zip(row.tolist(), wanted.tolist(), strict=True)):
        candidates = distance[number]
        nearer, as_near = np.count_nonzero(candidates < value), np.count_nonzero(candidates <= value)
        ranks[place] = 1 + (nearer + as_near) / 2
    return ranks


def summarise(ranks: AnyFloats) -> dict[str, float]:
    """MRR and Hits@1, 3, 10 over all ranks, and the number of triples ranked ("n")."""
    values = ranks.reshape(-1)
    if not len(values):
        return {"n": 0}
    hits = {f"hits@{k}": float((values <= k).mean()) for k in (1, 3, 10)}
    return {"mrr": float((1 / values).mean()), **hits, "n": len(ranks)}


def random_mrr(entities: int) -> float:
    """The expected MRR of random guessing: the mean of 1/1 … 1/E."""
    return float((1 / np.arange(1, entities + 1)).mean()) if entities else 0.0
