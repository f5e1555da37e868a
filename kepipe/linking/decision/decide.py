"""Decoding: candidate scores → the mentions of a text: the best candidate of each match, then non-overlapping
matches."""

from __future__ import annotations

import numpy as np

from kepipe.arrays import Floats
from kepipe.linking.candidates.matches import Matches
from kepipe.linking.decision.overlaps import select_spans
from kepipe.linking.kb.links import Link


def decide(matches: Matches, scores: Floats, threshold: float) -> list[tuple[int, int, float]]:
    """(match index, entity row, score) of each mention.

    The best candidate of each match is kept if it reaches the threshold; among overlapping matches, the set with the
    largest sum of score × length is chosen.
    """
    if not len(scores):
        return []
    owners = matches.owners
    highest = np.maximum.reduceat(scores, np.flatnonzero(np.diff(owners, prepend=-1)))
    best = np.flatnonzero((scores == highest[owners]) & (scores >= threshold))
    best = best[np.diff(owners[best], prepend=-1) > 0]  # the first in case of ties
    starts, ends = matches.starts[owners[best]], matches.ends[owners[best]]
    chosen = best[select_spans(starts, ends, scores[best] * (ends - starts))]
    columns = owners[chosen].tolist(), matches.rows[chosen].tolist(), scores[chosen].tolist()
    return list(zip(*columns, strict=True))


def decide_by_prior(matches: Matches) -> list[Link]:
    """The baseline: the longest exact names, each linked to its most probable entity by prior."""
    first = np.flatnonzero(np.diff(matches.owners, prepend=-1))
    lengths = matches.ends - matches.starts
    chosen = select_spans(matches.starts, matches.ends, np.power(lengths, 1.01, dtype=np.float64))
    rows = matches.rows[first]
    return [Link(int(matches.starts[at]), int(matches.ends[at]), int(rows[at])) for at in chosen.tolist()]
