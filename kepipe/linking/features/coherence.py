"""How well the candidates of a text go together in the graph (after Ratinov et al. 2011, §4, and Adamic–Adar).

Each entity votes with the strength of its best candidate. `related` counts the votes of an entity's
neighbours, `kindred` those of the neighbours' neighbours, each way divided by the root of the degree between
(two towns of one county say more than two of one country), `beside` whether a neighbour is named right next to
the mention ("Lincoln, Nebraska").
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from kepipe.arrays import Bools, Floats, Ints, Ints32
from kepipe.linking.candidates.matches import Matches
from kepipe.linking.kb.sparse import Matrix, expand, gather, locate, sum_by

HUB = 2_000
"""Two entities that share nothing but a neighbour of more than this many links are no kin."""
GAP = 3
"""Names stand next to each other where no more characters than this are between them."""


class Coherence(NamedTuple):
    """One value a candidate, each [P]."""

    related: Floats
    kindred: Floats
    beside: Floats


def cohere(matches: Matches, texts: Ints, votes: Floats, neighbours: Matrix) -> Coherence:
    """Coherence of all candidates of a batch with the others of their text; `texts` [P]: which text that is.

    `votes` [P] in 0..1 says how sure each candidate is before.
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
        near = np.flatnonzero(_among(entities[first:stop], number)[ends])
        local = locate(known, keys[near])
        near, local = near[local >= 0], local[local >= 0]
        related += sum_by(owners[near], vote[local], len(known))
        kindred += _kindred(owners, ends, keys, vote, neighbours.indptr)
        edges.append(owners[near] * len(known) + local)
    beside = _beside(matches, place, np.concatenate(edges), len(known)) if edges else np.zeros(len(place))
    return Coherence(np.log1p(related)[place], np.log1p(kindred)[place], beside)


MOST = 4_000_000
"""No more links than this are looked at at once, but those of one text."""


def _blocks(text: Ints, degrees: Ints) -> Iterator[tuple[int, int]]:
    """Cut entities into stretches of whole texts that have at most `MOST` links, or are of one text."""
    if not len(text):
        return
    starts = np.append(np.flatnonzero(np.diff(text, prepend=-1)), len(text))
    before = np.concatenate(([0], np.cumsum(degrees)))[starts]
    begin = 0
    for number in range(1, len(starts)):
        if number + 1 == len(starts) or before[number + 1] - before[begin] > MOST:
            yield int(starts[begin]), int(starts[number])
            begin = number


def _among(members: Ints, number: int) -> Bools:
    """Of each of so many whether it is a member."""
    among = np.zeros(number, np.bool_)
    among[members] = True
    return among


def _kindred(owners: Ints, between: Ints, keys: Ints, vote: Floats, ends: Ints32) -> Floats:
    degrees = ends[between + 1] - ends[between]
    narrow = degrees <= HUB
    owners, keys, degrees = owners[narrow], keys[narrow], degrees[narrow]
    middles, middle = np.unique(keys, return_inverse=True)
    gathered = sum_by(middle, vote[owners], len(middles))
    others = gathered[middle] - vote[owners]
    return sum_by(owners, others / np.sqrt(degrees), len(vote))


def _beside(matches: Matches, place: Ints, edges: Ints, entities: int) -> Floats:
    """Whether a candidate has an edge to one of a match right before or after."""
    beside = np.zeros(len(matches.rows))
    connected = _among(edges // entities, entities)
    kept = np.flatnonzero(connected[place])  # the others need not be tried
    counts = np.bincount(matches.owners[kept], minlength=len(matches))
    firsts = np.cumsum(counts) - counts
    low = np.searchsorted(matches.starts, matches.ends, "left")
    high = np.searchsorted(matches.starts, matches.ends + GAP, "right")
    left, nth = expand(high - low)
    right = low[left] + nth
    pair, nth = expand(counts[left] * counts[right])
    one = kept[firsts[left[pair]] + nth // counts[right[pair]]]
    other = kept[firsts[right[pair]] + nth % counts[right[pair]]]
    linked = locate(np.sort(edges), place[one] * entities + place[other]) >= 0
    beside[one[linked]] = beside[other[linked]] = 1.0
    return beside
