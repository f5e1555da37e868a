"""Choose among mentions that overlap: weighted interval scheduling, exact, O(n log n)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

import numpy as np

from kepipe.arrays import Floats, Ints


def select_spans(starts: Ints, ends: Ints, gains: Floats) -> Ints:
    """Places of the intervals that do not overlap and whose gains sum to the most, in order of start.

    Intervals come in order of start. Of two choices that gain the same the one that skips a later interval is taken,
    so the answer is unique. Groups of intervals that no other overlaps are decided one by one: what stands
    elsewhere changes nothing, not even by rounding.
    """
    if not len(starts):
        return np.zeros(0, np.int64)
    reach = np.maximum.accumulate(ends)
    first = np.flatnonzero(np.concatenate(([True], starts[1:] >= reach[:-1])))
    size = np.diff(first, append=len(starts))
    alone = first[size == 1]
    chosen = alone[gains[alone] > 0].tolist()
    several = size > 1
    for begin, stop in zip(first[several].tolist(), (first + size)[several].tolist(), strict=True):
        group = slice(begin, stop)
        chosen += [
            begin + place
            for place in _best(starts[group].tolist(), ends[group].tolist(), gains[group].tolist())
        ]
    return np.sort(np.asarray(chosen, np.int64))


def _best(starts: Sequence[int], ends: Sequence[int], gains: Sequence[float]) -> list[int]:
    """The same for one group, by dynamic programming over the ends."""
    order = sorted(range(len(starts)), key=lambda place: (ends[place], starts[place]))
    sorted_ends = [ends[place] for place in order]
    best = [0.0]  # best[k]: the most that the first k intervals in order of end can gain
    before: list[int] = []
    for number, place in enumerate(order):
        before.append(bisect_right(sorted_ends, starts[place], 0, number))
        best.append(max(best[number], best[before[number]] + gains[place]))
    chosen: list[int] = []
    number = len(order)
    while number:
        if best[number] > best[number - 1]:
            chosen.append(order[number - 1])
            number = before[number - 1]
        else:
            number -= 1
    return chosen
