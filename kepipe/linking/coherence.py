"""How well the candidates of one text go together in the graph (after Ratinov et al. 2011, §4, and Adamic–Adar).

Each entity votes with the strength of its best candidate. `related` counts the votes of an entity's
neighbours, `kindred` those of the neighbours' neighbours, each way divided by the root of the degree between
(two towns of one county say more than two of one country), `beside` whether a neighbour is named right next to
the mention ("Lincoln, Nebraska").
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kepipe.linking.gazetteer import Matches
from kepipe.linking.knowledge import Matrix

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

HUB = 2_000
"""Two entities that share nothing but a neighbour of more than this many links are no kin."""
GAP = 3
"""Names stand next to each other where no more characters than this are between them."""


class Coherence(NamedTuple):
    """One value a candidate, each [P]."""

    related: Floats
    kindred: Floats
    beside: Floats


def cohere(matches: Matches, votes: Floats, neighbours: Matrix) -> Coherence:
    """Coherence of all candidates of a text; `votes` [P] in 0..1 says how sure each is before."""
    entities, place = np.unique(matches.rows, return_inverse=True)
    vote = np.zeros(len(entities))
    np.maximum.at(vote, place, votes)
    owners, ends = gather(neighbours, entities)
    local = locate(entities, ends)
    inside = local >= 0
    edges = owners[inside] * len(entities) + local[inside]
    related = sum_by(owners[inside], vote[local[inside]], len(entities))
    kindred = _kindred(owners, ends, vote, neighbours.indptr.astype(np.int64, copy=False))
    beside = _beside(matches, place, np.sort(edges), len(entities))
    return Coherence(np.log1p(related)[place], np.log1p(kindred)[place], beside)


def gather(matrix: Matrix, rows: Ints) -> tuple[Ints, Ints]:
    """All entries of some rows of a CSR matrix: which of `rows` (0 … n − 1), and the column."""
    first = matrix.indptr[rows].astype(np.int64)
    counts = matrix.indptr[rows + 1].astype(np.int64) - first
    owners, within = expand(counts)
    return owners, matrix.indices[first[owners] + within].astype(np.int64)


def expand(counts: Ints) -> tuple[Ints, Ints]:
    """0, 0, 1, 1, 1 … (who) and 0, 1, 0, 1, 2 … (its how manieth) for counts 2, 3, …"""
    owners = np.repeat(np.arange(len(counts)), counts)
    starts = np.cumsum(counts) - counts
    return owners, np.arange(len(owners)) - starts[owners]


def sum_by(owners: Ints, values: Floats, count: int) -> Floats:
    """The sum of the values of each owner, 0 … count − 1."""
    return np.asarray(np.bincount(owners, values, minlength=count), np.float64)


def locate(sorted_values: Ints, wanted: Ints) -> Ints:
    """The place of each wanted value among sorted distinct ones, −1 where it is not there."""
    if not len(sorted_values):
        return np.full(len(wanted), -1)
    place = np.minimum(np.searchsorted(sorted_values, wanted), len(sorted_values) - 1)
    return np.where(sorted_values[place] == wanted, place, -1)


def _kindred(owners: Ints, between: Ints, vote: Floats, ends: Ints) -> Floats:
    degrees = ends[between + 1] - ends[between]
    narrow = degrees <= HUB
    owners, between, degrees = owners[narrow], between[narrow], degrees[narrow]
    middles, middle = np.unique(between, return_inverse=True)
    gathered = sum_by(middle, vote[owners], len(middles))
    others = gathered[middle] - vote[owners]
    return sum_by(owners, others / np.sqrt(degrees), len(vote))


def _beside(matches: Matches, place: Ints, edges: Ints, entities: int) -> Floats:
    found = np.zeros(len(matches.rows))
    if not len(edges):
        return found
    counts = np.bincount(matches.owners, minlength=len(matches))
    firsts = np.cumsum(counts) - counts
    low = np.searchsorted(matches.starts, matches.ends, "left")
    high = np.searchsorted(matches.starts, matches.ends + GAP, "right")
    left, nth = expand(high - low)
    right = low[left] + nth
    pair, nth = expand(counts[left] * counts[right])
    one = firsts[left[pair]] + nth // counts[right[pair]]
    other = firsts[right[pair]] + nth % counts[right[pair]]
    linked = locate(np.unique(edges), place[one] * entities + place[other]) >= 0
    found[one[linked]] = found[other[linked]] = 1.0
    return found
