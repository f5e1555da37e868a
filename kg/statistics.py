"""Statistics of a graph: degrees, components, cardinalities of relations, ambiguous names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kg.arrays import Ints
from kg.lexicon import Lexicon
from kg.store import Graph, Triples


@dataclass(frozen=True, slots=True)
class RelationStatistics:
    """A relation by row: its triples, distinct heads and tails, and triples whose head is also their tail."""

    relation: int
    triples: int
    heads: int
    tails: int
    loops: int

    @property
    def tails_per_head(self) -> float:
        return self.triples / self.heads if self.heads else 0.0

    @property
    def heads_per_tail(self) -> float:
        return self.triples / self.tails if self.tails else 0.0

    @property
    def cardinality(self) -> str:
        """ "1-1", "1-N", "N-1" or "N-N" (head-tail): N for a mean of at least 1.5 (Bordes et al. 2013, section 4.2)."""
        side = ["1" if ratio < 1.5 else "N" for ratio in (self.heads_per_tail, self.tails_per_head)]
        return "-".join(side)


@dataclass(frozen=True, slots=True)
class AmbiguousName:
    """A name as spelt in the graph, its number of entities, and the rows of the most probable of these."""

    name: str
    entities: int
    rows: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Statistics:
    """The statistics of a graph. Degrees count every triple of an entity, in all splits."""

    counts: dict[str, int]
    degree_mean: float
    degree_median: float
    degree_max: int
    degree_counts: tuple[tuple[int, int, int], ...]
    """Number of entities by range of degrees, inclusive: 0, 1, 2-3, 4-7, … (low, high, entities)."""
    hubs: tuple[tuple[int, int], ...]
    """The entities with the highest degree: (row, degree)."""
    components: tuple[int, ...]
    """Sizes of the weakly connected components, largest first."""
    relations: tuple[RelationStatistics, ...]
    """Most frequent first."""
    ambiguous: tuple[AmbiguousName, ...]
    """The names with the most entities."""


def measure(graph: Graph, hubs: int = 20, names: int = 20) -> Statistics:
    """Compute statistics over all splits. `names=0` skips reading all names, half the work for a large graph."""
    triples = np.concatenate([graph.triples(split) for split in graph.splits] or [graph.triples()])
    degrees = np.asarray(graph.degrees)
    top = np.argsort(-degrees, kind="stable")[:hubs]
    return Statistics(
        counts=graph.describe(),
        degree_mean=float(degrees.mean()) if len(degrees) else 0.0,
        degree_median=float(np.median(degrees)) if len(degrees) else 0.0,
        degree_max=int(degrees.max(initial=0)),
        degree_counts=count_degrees(degrees),
        hubs=tuple((int(row), int(degrees[row])) for row in top),
        components=tuple(component_sizes(triples, len(graph))),
        relations=measure_relations(triples, len(graph.relations)),
        ambiguous=tuple(ambiguous_names(Lexicon.build(graph), names)) if names else (),
    )


def count_degrees(degrees: Ints) -> tuple[tuple[int, int, int], ...]:
    """Number of entities by degree in doubling ranges: (low, high, entities) for 0, 1, 2-3, 4-7, …"""
    # The exponent of the next power of two: 0 → 0, 1 → 1, 2 and 3 → 2, …
    counts = np.bincount(np.frexp(degrees)[1]).tolist() if len(degrees) else []
    return tuple((2 ** (step - 1) if step else 0, max(2**step - 1, 0), n) for step, n in enumerate(counts))


def component_sizes(triples: Triples, entities: int) -> list[int]:
    """Sizes of the weakly connected components of `entities` nodes, largest first."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not entities:
        return []
    edges = coo_array(
        (np.ones(len(triples), np.int8), (triples[:, 0], triples[:, 2])), shape=(entities, entities)
    )
    _, part = connected_components(edges.tocsr(), directed=False)
    sizes: list[int] = np.sort(np.bincount(part))[::-1].tolist()
    return sizes


def measure_relations(triples: Triples, relations: int) -> tuple[RelationStatistics, ...]:
    """Statistics of each of `relations` relations over int32 [n, 3] triples, most frequent first."""
    order = np.argsort(triples[:, 1], kind="stable")
    starts = np.searchsorted(triples[order, 1], np.arange(relations + 1))
    found = []
    for relation in range(relations):
        facts = triples[order[starts[relation] : starts[relation + 1]]]
        heads, tails = (len(np.unique(facts[:, side])) for side in (0, 2))
        loops = int((facts[:, 0] == facts[:, 2]).sum())
        found.append(RelationStatistics(relation, len(facts), heads, tails, loops))
    return tuple(sorted(found, key=lambda one: (-one.triples, one.relation)))


def ambiguous_names(lexicon: Lexicon, count: int, shown: int = 5) -> Sequence[AmbiguousName]:
    """The `count` names with the most entities, ties in alphabetical order; `shown` entities of each."""
    bearers = np.diff(lexicon.name_starts)
    found = []
    for place in np.argsort(-bearers, kind="stable")[:count].tolist():
        if bearers[place] < 2:
            break
        piece = slice(lexicon.name_starts[place], lexicon.name_starts[place + 1])
        rows, weights = lexicon.rows[piece], lexicon.weights[piece]
        best = rows[np.lexsort((rows, -weights))][:shown]
        found.append(AmbiguousName(lexicon.names[place], int(bearers[place]), tuple(best.tolist())))
    return found
