"""A graph of the same shape with shuffled facts: a control for the benefit of knowledge.

Objects are exchanged among triples of the same relation, within each split. Each entity keeps its names and its number
of triples of each relation as subject and as object; only the pairing is lost.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kg.arrays import Bools, Ints
from kg.store import Graph, Triples
from kg.writer import GraphWriter

MIXING, ROUNDS, PATIENCE = 5, 100, 10
"""Rounds for all triples; maximum rounds for those still true; number of rounds with few exchanges (1%) after which to
stop."""


def shuffle_objects(triples: Triples, rng: np.random.Generator) -> Triples:
    """The triples, int32 [n, 3] and distinct, with the objects of each relation exchanged among its triples.

    Two triples of a relation exchange their objects if both resulting triples are neither present nor original
    (switching, Maslov & Sneppen 2002): first all triples in pairs, then the remaining original ones with random
    partners. Triples that cannot be exchanged stay true: a relation with one object, a head that has all objects.
    """
    shuffled = np.array(triples, np.int64)
    keys = _Keys.of(shuffled)
    original = np.sort(keys.pack(shuffled))
    of_relation = np.argsort(shuffled[:, 1], kind="stable")
    starts = np.searchsorted(shuffled[of_relation, 1], shuffled[:, 1])
    sizes = np.bincount(shuffled[:, 1], minlength=1)[shuffled[:, 1]]
    failures = 0
    for number in range(MIXING + ROUNDS):
        one = (
            np.arange(len(shuffled))
            if number < MIXING
            else np.flatnonzero(_among(keys.pack(shuffled), original))
        )
        if not len(one) or failures == PATIENCE:
            break
        other = of_relation[starts[one] + rng.integers(0, sizes[one])]
        exchanged = _exchange(shuffled, original, keys, *_apart(one, other, rng))
        failures = 0 if exchanged > len(one) // 100 else failures + 1
    return shuffled.astype(np.int32)


def _apart(one: Ints, other: Ints, rng: np.random.Generator) -> tuple[Ints, Ints]:
    """A subset of the pairs, none of which shares an index with another."""
    order = rng.permutation(len(one))
    pairs = np.stack([one[order], other[order]], 1)
    first = np.zeros(pairs.size, np.bool_)
    first[np.unique(pairs.ravel(), return_index=True)[1]] = True
    apart = pairs[first.reshape(-1, 2).all(1)]
    return apart[:, 0], apart[:, 1]


def _exchange(shuffled: Ints, original: Ints, keys: _Keys, one: Ints, other: Ints) -> int:
    """Exchange the objects of pairs if both resulting triples are new. Returns the number of pairs exchanged."""
    proposed = np.concatenate([shuffled[one], shuffled[other]])
    proposed[:, 2] = np.concatenate([shuffled[other, 2], shuffled[one, 2]])
    wanted = keys.pack(proposed)
    new = ~_among(wanted, original) & ~_among(wanted, np.sort(keys.pack(shuffled)))
    unique = np.zeros(len(wanted), np.bool_)  # two pairs may propose the same triple
    unique[np.unique(wanted, return_index=True)[1]] = True
    agreed = (new & unique).reshape(2, -1).all(0)
    one, other = one[agreed], other[agreed]
    shuffled[one, 2], shuffled[other, 2] = shuffled[other, 2], shuffled[one, 2]
    return len(one)


def shuffle_graph(graph: Graph, writer: GraphWriter, rng: np.random.Generator) -> dict[str, int]:
    """Write `graph` with its objects shuffled. Returns the number of triples, and of those that stayed true."""
    for row in range(len(graph)):
        writer.add_entity(graph.entity(row))
    for relation in graph.relations:
        writer.add_relation(relation)
    counts = {"triples": 0, "unchanged": 0}
    for split in graph.splits:
        shuffled = shuffle_objects(graph.triples(split), rng)
        truth = np.array(graph.triples(split), np.int64)
        keys = _Keys.of(truth)
        counts["triples"] += len(shuffled)
        counts["unchanged"] += int(
            _among(keys.pack(shuffled.astype(np.int64)), np.sort(keys.pack(truth))).sum()
        )
        writer.add_triples(split, shuffled)
    writer.finish()
    return counts


@dataclass(frozen=True)
class _Keys:
    """Triples as single numbers; `rows` and `kinds`: number of entities and of relations."""

    rows: int
    kinds: int

    @classmethod
    def of(cls, triples: Ints) -> _Keys:
        rows = int(triples[:, [0, 2]].max(initial=0)) + 1
        kinds = int(triples[:, 1].max(initial=0)) + 1
        assert rows * rows * kinds < 2**63, "GraphWriter refuses graphs of this size"
        return cls(rows, kinds)

    def pack(self, triples: Ints) -> Ints:
        packed: Ints = (triples[:, 0] * self.kinds + triples[:, 1]) * self.rows + triples[:, 2]
        return packed


def _among(wanted: Ints, known: Ints) -> Bools:
    """Which of the wanted numbers are among the known ones, which are sorted."""
    at = np.minimum(np.searchsorted(known, wanted), len(known) - 1)
    found: Bools = known[at] == wanted
    return found
