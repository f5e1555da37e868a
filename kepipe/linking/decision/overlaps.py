"""Choose among overlapping mentions: exact weighted interval scheduling in O(n log n)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from kepipe.arrays import Floats, Ints


def select_spans(starts: Ints, ends: Ints, scores: Floats) -> Ints:
    """Indices of the non-overlapping intervals with the largest sum of scores, in order of start.

    Intervals are sorted by start. Ties are broken by skipping the later interval, so the result is unique. Connected
    groups of overlapping intervals are solved separately, so that other intervals of a text do not affect the
    result, not even by rounding.
    """
    if not len(starts):
        return np.zeros(0, np.int64)
    reach = np.maximum.accumulate(ends)
    first = np.flatnonzero(np.concatenate(([True], starts[1:] >= reach[:-1])))
    size = np.diff(first, append=len(starts))
    alone = first[size == 1]
    chosen = alone[scores[alone] > 0].tolist()
    several = size > 1
    for begin, stop in zip(first[several].tolist(), (first + size)[several].tolist(), strict=True):
        group = slice(begin, stop)
        chosen += [
            begin + place
            for place in _best(starts[group].tolist(), ends[group].tolist(), scores[group].tolist())
        ]
    return np.sort(np.asarray(chosen, np.int64))


def _best(starts: Sequence[int], ends: Sequence[int], scores: Sequence[float]) -> list[int]:
    """`select_spans` for one group of overlapping intervals, by dynamic programming over their ends."""
    order = sorted(range(len(starts)), key=lambda place: (ends[place], starts[place]))
    sorted_ends = [ends[place] for place in order]
    best = [0.0]  # best[k]: the best sum over the first k intervals in order of end
    before: list[int] = []
    for number, place in enumerate(order):
        before.append(bisect_right(sorted_ends, starts[place], 0, number))
        best.append(max(best[number], best[before[number]] + scores[place]))
    chosen: list[int] = []
    number = len(order)
    while number:
        if best[number] > best[number - 1]:
            chosen.append(order[number - 1])
            number = before[number - 1]
        else:
            number -= 1
    return chosen
