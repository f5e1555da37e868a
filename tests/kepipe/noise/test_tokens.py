import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from kepipe.noise.tokens import budget, draw_replacements, replace, select_tokens, select_tokens_by_coin

MASK = 4
ORDINARY = np.arange(5, 105)


def rows(lengths: list[int], width: int) -> np.ndarray:
    """Special tokens except on this many columns after the first."""
    column = np.arange(width)
    return (column == 0) | (column > np.array(lengths)[:, None])


def test_replace_keeps_tokens_that_are_not_selected() -> None:
    tokens = np.array([[7, 8, 9, 10]])
    selected = np.array([[True, True, True, False]])
    assert replace(tokens, selected, np.array([[MASK, -1, 50, MASK]])).tolist() == [[MASK, 8, 50, 10]]


def test_budget_is_the_rounded_share_and_at_least_one() -> None:
    assert budget(rows([0, 1, 10, 20, 100], 128), 0.15).tolist() == [0, 1, 2, 3, 15]


@given(st.lists(st.integers(0, 60), min_size=1, max_size=8), st.integers(0, 2**32 - 1))
def test_token_masking_meets_the_budget_and_skips_special_tokens(lengths: list[int], seed: int) -> None:
    special = rows(lengths, 64)
    selected = select_tokens(special, np.random.default_rng(seed))
    assert not (selected & special).any()
    assert (selected.sum(axis=1) == budget(special, 0.15)).all()


def test_coin_masking_draws_tokens_independently_and_skips_special_tokens() -> None:
    special = rows([60, 0, 30], 64).repeat(400, axis=0)
    selected = select_tokens_by_coin(special, np.random.default_rng(0), 0.15)
    assert not (selected & special).any()
    assert selected[~special].mean() == pytest.approx(0.15, abs=0.01)
    assert len(np.unique(selected[:400].sum(axis=1))) > 5  # the number is drawn too
    assert select_tokens_by_coin(special, np.random.default_rng(0), 1.0)[~special].all()


def test_token_masking_is_uniform_over_positions() -> None:
    special = rows([40] * 20_000, 48)
    counts = select_tokens(special, np.random.default_rng(0)).sum(axis=0)
    assert chisquare(counts[1:41]).pvalue > 1e-3


def test_replacements_are_80_10_10_and_uniform_over_ordinary_ids() -> None:
    drawn = draw_replacements((1000, 1000), MASK, ORDINARY, np.random.default_rng(0)).ravel()
    masked, stay = int((drawn == MASK).sum()), int((drawn == -1).sum())
    fates = [masked, stay, drawn.size - masked - stay]
    assert chisquare(fates, [0.8e6, 0.1e6, 0.1e6]).pvalue > 1e-3
    assert chisquare(np.bincount(drawn[drawn >= 5], minlength=105)[5:]).pvalue > 1e-3
    assert set(np.unique(drawn)) == {-1, MASK, *ORDINARY.tolist()}


@pytest.mark.parametrize(("masked", "random", "expected"), [(1.0, 0.0, {MASK}), (0.0, 0.0, {-1})])
def test_replacement_shares_of_0_and_1(masked: float, random: float, expected: set[int]) -> None:
    drawn = draw_replacements((50, 50), MASK, ORDINARY, np.random.default_rng(0), masked, random)
    assert set(np.unique(drawn)) == expected


class Same:
    """Draws the same number everywhere."""

    def __init__(self, number: float) -> None:
        self.number = number

    def random(self, size: tuple[int, int], /) -> np.ndarray:
        return np.full(size, self.number)


def test_draw_just_below_the_random_share_takes_the_last_id() -> None:
    """(u - 0.3) / 0.55 is rounded to 1 at the largest such u."""
    below = np.nextafter(0.3 + 0.55, 0)
    assert (below - 0.3) / 0.55 == 1.0
    drawn = draw_replacements((1, 2), MASK, ORDINARY, Same(below), masked=0.3, random=0.55)
    assert drawn.tolist() == [[ORDINARY[-1]] * 2]
