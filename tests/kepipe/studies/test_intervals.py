"""Intervals: exact small cases, coverage on simulated corpora, agreement with scipy on single cases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from kepipe.studies.intervals import (
    Estimate,
    _ratio,
    clustered_mean,
    clustered_ratio,
    mean_over_seeds,
    paired_difference,
)


def test_value_is_the_mean_of_the_cases():
    estimate = clustered_mean([1, 0, 0, 1, 1, 1], ["a", "a", "b", "c", "d", "e"], np.random.default_rng(0))
    assert estimate.value == pytest.approx(4 / 6)
    assert (estimate.cases, estimate.clusters) == (6, 5)


def test_a_ratio_and_its_standard_error_by_hand() -> None:
    found = clustered_ratio([2, 2, 4, 4, 8, 0], [1, 1, 1, 1, 2, 4], list("aabcde"), np.random.default_rng(0))
    assert (found.value, found.cases, found.clusters) == (2.0, 6, 5)
    assert found.low < 2.0 < found.high < np.inf
    sums, amounts = np.array([1.0, 2.0, 6.0]), np.array([1.0, 2.0, 3.0])
    means, errors = _ratio(sums, amounts, np.array([[1.0, 1.0, 1.0], [2.0, 0.0, 1.0]]))
    # 9/6; residuals −1/2, −1, 3/2; variance 3/2 · (1/4 + 1 + 9/4); over the amounts of 6
    # 8/5; residuals −3/5 (twice), 6/5; variance 3/2 · (2 · 9/25 + 36/25); over the amounts of 5
    assert means.tolist() == pytest.approx([1.5, 1.6])
    assert errors.tolist() == pytest.approx([(1.5 * 3.5) ** 0.5 / 6, (1.5 * 54 / 25) ** 0.5 / 5])


def test_interval_that_touches_zero_does_not_exclude_it() -> None:
    for low, high, excludes in ((0.0, 1.0, False), (-1.0, 0.0, False), (0.1, 1.0, True), (-1.0, -0.1, True)):
        assert Estimate(0.5, low, high, 9, 9).excludes_zero is excludes


def test_wider_level_gives_a_wider_interval() -> None:
    values = np.random.default_rng(4).normal(0, 1, 30)
    wide, narrow = (
        clustered_mean(values, np.arange(30), np.random.default_rng(0), level) for level in (0.95, 0.5)
    )
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high
    three = mean_over_seeds([1.0, 2.0, 3.0], 0.5)
    assert three.high - 2.0 == pytest.approx(0.816496580927726 / 3**0.5)  # t of 2 degrees of freedom at 75%


def test_too_few_documents_give_no_interval():
    estimate = clustered_mean([1, 2, 3], ["a", "a", "b"], np.random.default_rng(0))
    assert (estimate.low, estimate.high) == (None, None)
    assert not estimate.excludes_zero


def test_equal_values_give_an_interval_of_width_0():
    estimate = clustered_mean(np.full(20, 0.25), np.arange(20) % 7, np.random.default_rng(0))
    assert (estimate.low, estimate.high) == (0.25, 0.25)


def test_interval_is_seeded_and_clipped_to_bounds():
    values, clusters = np.random.default_rng(1).random(60), np.arange(60) % 6
    first = clustered_mean(values, clusters, np.random.default_rng(3))
    assert first == clustered_mean(values, clusters, np.random.default_rng(3))
    narrow = clustered_mean(values, clusters, np.random.default_rng(3), within=(0.45, 0.55))
    assert (narrow.low, narrow.high) == (max(first.low, 0.45), min(first.high, 0.55))


def test_large_sample_agrees_with_scipy():
    values = np.random.default_rng(2).exponential(size=2000)
    ours = clustered_mean(values, np.arange(2000), np.random.default_rng(0))
    theirs = stats.bootstrap(
        (values,), np.mean, n_resamples=2000, rng=np.random.default_rng(0)
    ).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.006)


def _corpus(rng, documents):
    """Clusters of unequal size whose cases share a document effect; the true mean is 0.3."""
    sizes = 1 + rng.poisson(12, documents)
    clusters = np.repeat(np.arange(documents), sizes)
    return 0.3 + rng.normal(0, 0.2, documents)[clusters] + rng.normal(0, 0.3, len(clusters)), clusters


@pytest.mark.parametrize("documents", [11, 40])
def test_coverage_is_near_nominal_with_clusters_and_not_with_cases(documents):
    rng, held, held_by_cases = np.random.default_rng(5), 0, 0
    for _ in range(400):
        values, clusters = _corpus(rng, documents)
        interval = clustered_mean(values, clusters, rng, resamples=500)
        held += interval.low <= 0.3 <= interval.high
        naive = clustered_mean(values, np.arange(len(values)), rng, resamples=200)
        held_by_cases += naive.low <= 0.3 <= naive.high
    assert 0.91 <= held / 400 <= 0.98
    assert held_by_cases / 400 < 0.8


def test_pairing_detects_a_small_difference():
    rng = np.random.default_rng(6)
    second, clusters = _corpus(rng, 20)
    first = second + 0.05 + rng.normal(0, 0.02, len(second))
    difference = paired_difference(first, second, clusters, np.random.default_rng(0))
    assert difference.excludes_zero
    assert difference.value == pytest.approx(0.05, abs=0.01)
    alone = [clustered_mean(values, clusters, np.random.default_rng(0)) for values in (first, second)]
    assert alone[0].low < alone[1].high  # unpaired, the two intervals overlap


def test_swapping_the_arms_mirrors_the_interval():
    rng = np.random.default_rng(7)
    first, second, clusters = rng.random(50), rng.random(50), np.arange(50) % 10
    there = paired_difference(first, second, clusters, np.random.default_rng(0), resamples=5000)
    back = paired_difference(second, first, clusters, np.random.default_rng(0), resamples=5000)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low), abs=1e-9)


@given(st.lists(st.tuples(st.floats(-5, 5), st.integers(0, 12)), min_size=1, max_size=60))
def test_the_interval_holds_finite_ordered_numbers(cases):
    values, clusters = zip(*cases, strict=True)
    estimate = clustered_mean(values, clusters, np.random.default_rng(0), resamples=50)
    if estimate.low is not None:
        assert np.isfinite([estimate.low, estimate.high]).all()
        assert estimate.low <= estimate.high


def test_unequal_lengths_are_rejected():
    with pytest.raises(ValueError, match="one length"):
        clustered_mean([1, 2], [1], np.random.default_rng(0))
    with pytest.raises(ValueError, match="same cases"):
        paired_difference([1, 2], [1], [0, 0], np.random.default_rng(0))


def test_estimate_as_json():
    assert Estimate(0.5, None, None, 2, 1).as_json() == {
        "value": 0.5, "low": None, "high": None, "cases": 2, "clusters": 1,
    }  # fmt: skip


def test_mean_over_three_seeds_by_hand() -> None:
    found = mean_over_seeds([1.0, 2.0, 3.0])
    reach = 4.302652729911275 / 3**0.5  # t of 2 degrees of freedom at 97.5%, standard deviation 1
    assert (found.value, found.cases, found.clusters) == (2.0, 3, 3)
    assert (found.low, found.high) == pytest.approx((2 - reach, 2 + reach))


def test_two_seeds_are_enough_for_an_interval() -> None:
    found = mean_over_seeds([1.0, 2.0])
    reach = 12.706204736174698 / 2  # t of 1 degree of freedom at 97.5%, standard deviation √½, over √2
    assert (found.low, found.high) == pytest.approx((1.5 - reach, 1.5 + reach))


def test_mean_over_seeds_equals_the_t_interval() -> None:
    values = np.random.default_rng(0).normal(0.6, 0.02, 7)
    found, theirs = mean_over_seeds(values), stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((theirs.low, theirs.high))


@pytest.mark.parametrize("seeds", [3, 5])
def test_mean_over_seeds_has_nominal_coverage(seeds: int) -> None:
    rng, studies = np.random.default_rng(seeds), 1000
    found = [mean_over_seeds(rng.normal(0.5, 0.1, seeds)) for _ in range(studies)]
    held = sum(
        each.low is not None and each.high is not None and each.low <= 0.5 <= each.high for each in found
    )
    assert abs(held / studies - 0.95) < 4 * (0.95 * 0.05 / studies) ** 0.5


@pytest.mark.parametrize("values", [[0.4], [0.4, 0.4, 0.4], [0.1 + 0.2, 0.3]])
def test_one_seed_or_equal_seeds_give_no_interval(values: list[float]) -> None:
    found = mean_over_seeds(values)
    assert found.low is found.high is None
    assert not found.excludes_zero
    with pytest.raises(ValueError, match="a value for each seed"):
        mean_over_seeds([])


def test_values_that_are_tiny_and_vary_have_an_interval() -> None:
    for scale in (1e-14, 1e-20):
        found, usual = mean_over_seeds(scale * np.arange(1.0, 4.0)), mean_over_seeds([1.0, 2.0, 3.0])
        assert found.low is not None
        assert usual.low is not None
        assert found.low / scale == pytest.approx(usual.low)


def test_bootstrap_t_interval_is_longer_towards_the_tail() -> None:
    """What a bootstrap-t interval is for (Efron & Tibshirani 1993, §12.5): its quantiles change sides."""
    values = np.random.default_rng(3).lognormal(0, 1.2, 40)
    for sign in (1, -1):
        found = clustered_mean(sign * values, np.arange(40), np.random.default_rng(0))
        assert found.low is not None
        assert found.high is not None
        above, below = found.high - found.value, found.value - found.low
        assert (above if sign > 0 else below) > 1.3 * (below if sign > 0 else above)


def test_five_documents_are_enough_for_an_interval() -> None:
    rng = np.random.default_rng(0)
    values = rng.random(10)
    assert clustered_mean(values, np.arange(10) % 4, rng).low is None
    five = clustered_mean(values, np.arange(10) % 5, rng)
    assert five.low is not None
    assert five.low < five.value < five.high


@pytest.mark.parametrize("scale", [1e-20, 1e-8, 1e8])
def test_interval_has_the_scale_of_the_values(scale: float) -> None:
    values, clusters = np.random.default_rng(1).normal(1, 1, 60), np.arange(60) % 12
    usual, scaled = (
        clustered_mean(factor * values, clusters, np.random.default_rng(0)) for factor in (1.0, scale)
    )
    assert (scaled.low / scale, scaled.high / scale) == pytest.approx((usual.low, usual.high))
