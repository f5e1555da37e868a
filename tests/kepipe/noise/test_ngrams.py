import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from kepipe.noise.ngrams import place_ngrams, select_ngrams
from kepipe.noise.tokens import budget


def test_n_grams_are_placed_in_order_without_touching() -> None:
    free = np.array([[False, True, True, True, True, True, False]])
    start, length = np.array([[2, 3, 5, 4, 1, 0, 6]]), np.array([[2, 1, 2, 3, 1, 1, 1]])
    # 2-3 taken; 3 touches it; 5-6 runs into a special token; 4-6 too; 1 fits
    assert place_ngrams(start, length, free, np.array([4])).nonzero()[1].tolist() == [1, 2, 3]


def test_n_gram_longer_than_the_budget_is_skipped() -> None:
    free = np.ones((1, 6), dtype=bool)
    start, length = np.array([[0, 2, 5, 1, 3, 4]]), np.array([[2, 3, 1, 1, 1, 1]])
    assert place_ngrams(start, length, free, np.array([3])).nonzero()[1].tolist() == [0, 1, 5]


@given(st.lists(st.integers(0, 60), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
@example([0, 0, 0, 0, 0, 1], 1)
def test_n_gram_masking_meets_the_budget_and_skips_special_tokens(lengths: list[int], seed: int) -> None:
    column = np.arange(64)
    special = (column == 0) | (column > np.array(lengths)[:, None]) | (column == 30)
    selected = select_ngrams(special, np.random.default_rng(seed))
    assert not (selected & special).any()
    assert (selected.sum(axis=1) == budget(special, 0.15)).all()


def test_n_gram_lengths_have_the_configured_shares() -> None:
    # A small budget in a long row: runs almost never meet, so that runs of tokens show the drawn lengths.
    special = np.zeros((3000, 1000), dtype=bool)
    selected = select_ngrams(special, np.random.default_rng(1), share=0.02)
    edges = np.diff(np.pad(selected, ((0, 0), (1, 1))).astype(int), axis=1)
    runs = np.nonzero(edges == -1)[1] - np.nonzero(edges == 1)[1]
    shares = np.bincount(runs, minlength=4)[1:4] / len(runs)
    assert np.abs(shares - [0.8, 0.1, 0.1]).max() < 0.015
