import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kepipe.arrays import pad, padded_batches, ranges


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 6))))
def test_ranges_equal_pythons(pairs: list[tuple[int, int]]) -> None:
    starts, lengths = (np.array([pair[side] for pair in pairs], dtype=np.int64) for side in (0, 1))
    assert ranges(starts, lengths).tolist() == [n for a, size in pairs for n in range(a, a + size)]


def test_pad_makes_rows_of_equal_length() -> None:
    assert pad(np.array([1, 2, 3]), np.array([2, 0, 1]), -1).tolist() == [[1, 2], [-1, -1], [3, -1]]
    assert pad(np.array([], dtype=np.int64), np.array([0, 0]), -1).shape == (2, 0)


def test_batches_are_filled_up_to_the_limit() -> None:
    parts = list(padded_batches([2, 2, 2, 3, 3, 9], most=8))
    assert parts == [slice(0, 3), slice(3, 5), slice(5, 6)], "6, 6 and 9 tokens: a longer row is alone"
    assert list(padded_batches([], most=8)) == []
