"""Scores of candidates → the mentions of a text: the best entity of each match, then the best set of matches."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kepipe.linking.gazetteer import Matches
from kepipe.linking.gold import Link
from kepipe.linking.resolve import resolve

Floats = npt.NDArray[np.float64]


def decide(matches: Matches, scores: Floats, threshold: float) -> list[tuple[int, int, float]]:
    """(match, row, score) of the mentions: the best candidate of each match, if it reaches the threshold,
    and of matches that overlap those whose scores, each times its length, sum to the most.
    """
    order = np.lexsort((np.arange(len(scores)), -scores, matches.owners))
    best = order[np.flatnonzero(np.diff(matches.owners[order], prepend=-1))]
    best = best[scores[best] >= threshold]
    owners = matches.owners[best]
    starts, ends = matches.starts[owners], matches.ends[owners]
    gains = scores[best] * (ends - starts)
    chosen = best[resolve(starts.tolist(), ends.tolist(), gains.tolist())]
    return [
        (int(matches.owners[place]), int(matches.rows[place]), float(scores[place]))
        for place in chosen.tolist()
    ]


def decide_by_prior(matches: Matches) -> list[Link]:
    """The baseline: the longest exact names, each meaning its likeliest entity."""
    first = np.flatnonzero(np.diff(matches.owners, prepend=-1))
    lengths = matches.ends - matches.starts
    chosen = resolve(matches.starts.tolist(), matches.ends.tolist(), (lengths**1.01).tolist())
    rows = matches.rows[first]
    return [Link(int(matches.starts[at]), int(matches.ends[at]), int(rows[at])) for at in chosen]
