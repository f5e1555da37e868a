import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kepipe.data.pairs import Sides, excess, truncate


@given(st.integers(1, 60), st.integers(1, 60), st.integers(2, 100))
def test_excess_agrees_with_the_loop_of_bert(a: int, b: int, room: int) -> None:
    left_a, left_b = a, b
    while left_a + left_b > room:  # create_pretraining_data.py, truncate_seq_pair
        if left_a > left_b:
            left_a -= 1
        else:
            left_b -= 1
    from_a, from_b = excess(np.array([a]), np.array([b]), room)
    assert (int(from_a[0]), int(from_b[0])) == (a - left_a, b - left_b)


def test_truncation_removes_from_both_ends_equally_often() -> None:
    ones = np.ones(20_000, dtype=np.int64)
    sides = truncate(Sides(0 * ones, 30 * ones, 100 * ones, 130 * ones), 20, np.random.default_rng(0))
    assert ((sides.a_to - sides.a_from) + (sides.b_to - sides.b_from) == 20).all()
    assert abs(sides.a_from.mean() - 10) < 0.1
    assert abs((130 - sides.b_to).mean() - 10) < 0.1
