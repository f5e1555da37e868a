"""The interval over seeds: exact on a small case, equal to scipy's, and holding the truth as often as it says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kepipe.studies.intervals import mean_over_seeds


def test_three_seeds_by_hand() -> None:
    found = mean_over_seeds([1.0, 2.0, 3.0])
    reach = 4.302652729911275 / 3**0.5  # t of 2 degrees of freedom at 97.5%, standard deviation 1
    assert (found.value, found.cases, found.clusters) == (2.0, 3, 3)
    assert (found.low, found.high) == pytest.approx((2 - reach, 2 + reach))


def test_it_is_the_interval_of_the_t_test() -> None:
    values = np.random.default_rng(0).normal(0.6, 0.02, 7)
    found, theirs = mean_over_seeds(values), stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))


@pytest.mark.parametrize("seeds", [3, 5])
def test_it_holds_the_truth_in_95_of_100_studies(seeds: int) -> None:
    rng, studies = np.random.default_rng(seeds), 1000
    found = [mean_over_seeds(rng.normal(0.5, 0.1, seeds)) for _ in range(studies)]
    held = sum(
        each.low is not None and each.high is not None and each.low <= 0.5 <= each.high for each in found
    )
    assert abs(held / studies - 0.95) < 4 * (0.95 * 0.05 / studies) ** 0.5


@pytest.mark.parametrize("values", [[0.4], [0.4, 0.4, 0.4], [0.1 + 0.2, 0.3]])
def test_one_seed_and_seeds_that_change_nothing_give_no_interval(values: list[float]) -> None:
    found = mean_over_seeds(values)
    assert found.low is found.high is None
    assert not found.excludes_zero
    with pytest.raises(ValueError, match="a value for each seed"):
        mean_over_seeds([])
