"""Streams: row b of a batch continues row b of the previous batch, whichever batches were requested between."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kepipe.data.stream_sampler import StreamSampler


def continues(runs: list[int]) -> np.ndarray:
    """Whether each example continues the previous one, for runs of the given sizes."""
    found = np.ones(sum(runs), np.bool_)
    found[np.cumsum(runs) - runs] = False
    return found


RUNS = st.lists(st.integers(1, 9), min_size=4, max_size=30)


@given(RUNS, st.integers(1, 12), st.integers(1, 3), st.booleans(), st.integers(0, 99))
def test_rows_that_continue_are_adjacent_in_the_text(
    runs: list[int], rows: int, parts: int, both: bool, seed: int
) -> None:
    begins = ~continues(runs)
    sampler = StreamSampler(~begins, rows, seed, parts=parts, both_directions=both)
    for epoch in (0, 2):
        seen: dict[bool, list[int]] = {False: [], True: []}
        before: dict[int, np.ndarray] = {}
        for n in range(epoch * sampler.per_epoch, (epoch + 1) * sampler.per_epoch):
            found, part = sampler.rows(n), sampler.part(n)
            assert len(found.examples)
            assert sampler.epoch(n) == epoch
            for row, (example, continues_document, from_right) in enumerate(
                zip(*map(np.ndarray.tolist, found), strict=True)
            ):
                seen[from_right].append(example)
                follows = part in before and (
                    before[part][row] - 1 == example and not begins[example + 1]
                    if from_right
                    else before[part][row] + 1 == example and not begins[example]
                )
                assert continues_document == follows
            before[part] = found.examples
        left_out = len(begins) % (parts * max(1, min(rows // (1 + both), len(begins) // parts)))
        for from_right, examples in seen.items():
            if from_right and not both:
                continue
            assert len(set(examples)) == len(examples)
            assert len(examples) == len(begins) - (left_out if left_out < parts else 0)


def test_batch_n_does_not_depend_on_earlier_batches() -> None:
    asked = (95, 0, 7, 95)
    one = StreamSampler(continues([5] * 40), 8, 3)
    several = [one.rows(n).examples.tolist() for n in asked]
    alone = [StreamSampler(continues([5] * 40), 8, 3).rows(n).examples.tolist() for n in asked]
    assert several == alone


def test_runs_are_shuffled_in_each_epoch() -> None:
    sampler = StreamSampler(continues([3] * 100), 4, 0)
    first, second = (sampler.rows(epoch * sampler.per_epoch).examples.tolist() for epoch in (0, 1))
    assert first != second
    assert StreamSampler(continues([3] * 100), 4, 1).rows(0).examples.tolist() != first


def test_every_second_row_is_read_right_to_left() -> None:
    sampler = StreamSampler(continues([6]), 4, 0, both_directions=True)
    assert [sampler.rows(n).examples.tolist() for n in range(3)] == [[0, 2, 3, 5], [1, 1, 4, 4], [2, 0, 5, 3]]
    assert sampler.rows(1).from_right.tolist() == [False, True, False, True]
    assert [sampler.rows(n).continues.tolist() for n in range(2)] == [[False] * 4, [True] * 4]


def test_a_text_too_short_for_the_parts_is_an_error() -> None:
    with pytest.raises(ValueError, match="accumulate"):
        StreamSampler(continues([2]), 4, 0, parts=3)
