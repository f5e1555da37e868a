"""Coherence of the candidates of a text in the graph (after Ratinov et al. 2011, §4, and Adamic–Adar).

Each entity votes with the strength of its best candidate. `related` sums the votes of an entity's neighbours,
`kindred` the votes of the neighbours' neighbours, each path divided by the square root of the degree of the entity
between (two towns of one county are better evidence than two of one country), `beside` is whether a neighbour is
named right next to the mention ("Lincoln, Nebraska").
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from kepipe.arrays import Bools, Floats, Ints, Ints32
from kepipe.linking.candidates.matches import Matches
from kepipe.linking.kb.sparse import Matrix, expand, gather, locate, sum_by

MAX_DEGREE = 2_000
"""Shared neighbours of a larger degree are ignored in `kindred`."""
MAX_GAP = 3
"""Two mentions are next to each other if at most this many characters are between them."""


class Coherence(NamedTuple):
    """Values per candidate, each [P]."""

    related: Floats
    kindred: Floats
    beside: Floats


def coherence_features(matches: Matches, texts: Ints, votes: Floats, neighbours: Matrix) -> Coherence:
    """Coherence of each candidate of a batch with the others of its text; `texts` [P]: the text index of each.

    `votes` [P], 0..1: the strength of each candidate without coherence.
    """
    number = neighbours.shape[0]
    known, place = np.unique(texts * number + matches.rows, return_inverse=True)
    text, entities = np.divmod(known, number)
    vote = np.zeros(len(known))
    np.maximum.at(vote, place, votes)
    related, kindred = np.zeros((2, len(known)))
    edges = []
    for first, stop in _blocks(text, neighbours.indptr[entities + 1] - neighbours.indptr[entities]):
        owners, ends = gather(neighbours, entities[first:stop])
        owners += first
        keys = text[owners] * number + ends
        near = np.flatnonzero(_mask_of(entities[first:stop], number)[ends])
        local = locate(known, keys[near])
        near, local = near[local >= 0], local[local >= 0]
        related += sum_by(owners[near], vote[local], len(known))
        kindred += _kindred(owners, ends, keys, vote, neighbours.indptr)
        edges.append(owners[near] * len(known) + local)
    beside = _beside(matches, place, np.concatenate(edges), len(known)) if edges else np.zeros(len(place))
    return Coherence(np.log1p(related)[place], np.log1p(kindred)[place], beside)


MAX_LINKS = 4_000_000
"""Maximum number of links processed at a time, unless a single text has more."""


def _blocks(text: Ints, degrees: Ints) -> Iterator[tuple[int, int]]:
    """Ranges of entities that cover whole texts and have at most `MAX_LINKS` links, or are of a single text."""
    if not len(text):
        return
    starts = np.append(np.flatnonzero(np.diff(text, prepend=-1)), len(text))
    before = np.concatenate(([0], np.cumsum(degrees)))[starts]
    begin = 0
    for number in range(1, len(starts)):
        if number + 1 == len(starts) or before[number + 1] - before[begin] > MAX_LINKS:
            yield int(starts[begin]), int(starts[number])
            begin = number


def _mask_of(members: Ints, number: int) -> Bools:
    """A boolean mask [number] that is true at `members`."""
    mask = np.zeros(number, np.bool_)
    mask[members] = True
    return mask


def _kindred(owners: Ints, between: Ints, keys: Ints, vote: Floats, ends: Ints32) -> Floats:
    degrees = ends[between + 1] - ends[between]
    narrow = degrees <= MAX_DEGREE
    owners, keys, degrees = owners[narrow], keys[narrow], degrees[narrow]
    middles, middle = np.unique(keys, return_inverse=True)
    gathered = sum_by(middle, vote[owners], len(middles))
    others = gathered[middle] - vote[owners]
    return sum_by(owners, others / np.sqrt(degrees), len(vote))


def _beside(matches: Matches, place: Ints, edges: Ints, entities: int) -> Floats:
    """Whether a candidate has an edge to a candidate of a match right before or after it."""
    beside = np.zeros(len(matches.rows))
    connected = _mask_of(edges // entities, entities)
    kept = np.flatnonzero(connected[place])  # the others have no edges in the text
    counts = np.bincount(matches.owners[kept], minlength=len(matches))
    firsts = np.cumsum(counts) - counts
    low = np.searchsorted(matches.starts, matches.ends, "left")
    high = np.searchsorted(matches.starts, matches.ends + MAX_GAP, "right")
    left, nth = expand(high - low)
    right = low[left] + nth
    pair, nth = expand(counts[left] * counts[right])
    one = kept[firsts[left[pair]] + nth // counts[right[pair]]]
    other = kept[firsts[right[pair]] + nth % counts[right[pair]]]
    linked = locate(np.sort(edges), place[one] * entities + place[other]) >= 0
    beside[one[linked]] = beside[other[linked]] = 1.0
    return beside
