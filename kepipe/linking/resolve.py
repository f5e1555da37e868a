"""Choose among mentions that overlap: weighted interval scheduling, exact, O(n log n)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence


def resolve(starts: Sequence[int], ends: Sequence[int], gains: Sequence[float]) -> list[int]:
    """Places of the intervals that do not overlap and whose gains sum to the most, in order of start.

    Of two choices that gain the same the one that skips a later interval is taken, so the answer is unique.
    """
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
    return chosen[::-1]
