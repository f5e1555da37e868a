from itertools import combinations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kepipe.linking.decision.overlaps import select_spans
from kepipe.linking.text.spans import touches

interval = st.tuples(st.integers(0, 12), st.integers(1, 6), st.integers(1, 20))


@settings(deadline=None)
@given(st.lists(interval, max_size=8))
def test_the_sum_of_scores_equals_the_best_of_all_subsets(intervals: list[tuple[int, int, int]]) -> None:
    intervals.sort(key=lambda interval: interval[0])
    starts = [start for start, _, _ in intervals]
    ends = [start + length for start, length, _ in intervals]
    gains = [float(gain) for _, _, gain in intervals]

    def apart(chosen: tuple[int, ...]) -> bool:
        return all(ends[a] <= starts[b] or ends[b] <= starts[a] for a, b in combinations(chosen, 2))

    subsets = [chosen for size in range(len(gains) + 1) for chosen in combinations(range(len(gains)), size)]
    most = max(sum(gains[place] for place in chosen) for chosen in subsets if apart(chosen))
    chosen = select_spans(
        np.asarray(starts, np.int64), np.asarray(ends, np.int64), np.asarray(gains)
    ).tolist()
    assert apart(tuple(chosen))
    assert sum(gains[place] for place in chosen) == most
    assert np.all(np.diff([starts[place] for place in chosen]) > 0)


def test_two_short_mentions_may_beat_a_long_one() -> None:
    starts, ends = np.asarray([0, 0, 5]), np.asarray([9, 4, 9])
    assert select_spans(starts, ends, np.asarray([5.0, 3.0, 3.0])).tolist() == [1, 2]
    assert select_spans(starts, ends, np.asarray([7.0, 3.0, 3.0])).tolist() == [0]


@settings(deadline=None)
@given(st.sets(st.integers(0, 20)), st.integers(0, 20), st.integers(1, 5))
def test_touching_means_overlapping(cuts: set[int], start: int, length: int) -> None:
    ends = sorted(cuts)
    spans = list(zip(ends[::2], ends[1::2], strict=False))
    expected = any(left < start + length and start < right for left, right in spans)
    assert touches(spans, start, start + length) == expected
