"""Tests of differences by seed, correction for multiple comparisons, and the power of a number of seeds.

The interval of a study is Student's (`intervals.mean_over_seeds`), which is exact for normal values. Two further tests
assume less: the permutation test only that the arms of a pair are exchangeable, Wilcoxon's test uses ranks. Their
smallest possible p-value with S seeds is 2^(1 − S): 0.25 with 3, 0.0625 with 5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

LEVEL = 0.05
RESAMPLES = 9999
"""Number of sampled permutations, if there are more than these."""


@dataclass(frozen=True)
class PairedTests:
    """Two-sided p-values of "the mean difference is 0"; None if it cannot be tested: one seed, or equal differences.
    `permutation`: all exchanges of the arms within seeds (Fisher 1935, §21). `wilcoxon`: signed ranks (1945)."""

    t: float | None
    permutation: float | None
    wilcoxon: float | None


def paired_tests(differences_S: npt.ArrayLike) -> PairedTests:
    """The tests of one difference per seed. Raises ValueError for an empty array."""
    from scipy import stats

    values_S = np.asarray(differences_S, np.float64)
    if values_S.ndim != 1 or not len(values_S):
        raise ValueError(f"expected a difference for each seed, got an array of shape {values_S.shape}")
    if len(values_S) < 2 or not values_S.any():
        return PairedTests(None, None, None)
    exchanged = stats.permutation_test(
        (values_S, np.zeros_like(values_S)),
        lambda x, y, axis: (x - y).mean(axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        rng=np.random.default_rng(0),
    )
    return PairedTests(
        t_test(values_S),
        float(exchanged.pvalue),
        float(stats.wilcoxon(values_S).pvalue),
    )


def t_test(differences_S: npt.ArrayLike) -> float | None:
    """The p-value of the t test alone, as `paired_tests` has it."""
    from scipy import stats

    values_S = np.asarray(differences_S, np.float64)
    if len(values_S) < 2 or _all_equal(values_S):
        return None
    return float(stats.ttest_1samp(values_S, 0.0).pvalue)


def _all_equal(values_S: npt.NDArray[np.float64]) -> bool:
    """Whether the values are equal up to rounding, so that they have no variation to test against."""
    return bool(np.ptp(values_S) <= 1e-12 * max(abs(values_S).max(), 1e-12))


def holm(p_values: Mapping[str, float], level: float) -> tuple[str, ...]:
    """Names of the rejected hypotheses, in the given order; the probability that any true hypothesis is rejected is at
    most `level` (Holm 1979)."""
    adjusted = holm_adjusted(p_values)
    return tuple(name for name in p_values if adjusted[name] <= level)


def holm_adjusted(p_values: Mapping[str, float]) -> dict[str, float]:
    """The lowest level at which Holm's procedure rejects each hypothesis."""
    adjusted, largest = dict[str, float](), 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda name: p_values[name])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = largest
    return {name: adjusted[name] for name in p_values}


def power(effect: float, seeds: int, level: float = LEVEL) -> float:
    """The power of the t test for a mean difference of `effect` standard deviations of the values by seed."""
    from scipy import stats

    if seeds < 2:
        return 0.0
    # P(|T| > r) is the mean of P(|Z + shift| > r s) over the estimated deviation s, where (S − 1) s² is χ² with S − 1
    # degrees of freedom. It is computed over quantiles, since scipy's noncentral t is NaN for a large shift.
    shift, free = effect * np.sqrt(seeds), seeds - 1
    deviations = np.sqrt(stats.chi2.ppf((np.arange(4000) + 0.5) / 4000, free) / free)
    reach = float(stats.t.ppf(1 - level / 2, free)) * deviations
    return float((stats.norm.cdf(shift - reach) + stats.norm.cdf(-shift - reach)).mean())


def detectable(seeds: int, wanted: float = 0.8, level: float = LEVEL) -> float:
    """The smallest effect that the t test shows with the power `wanted`, in standard deviations by seed; inf for one
    seed."""
    from scipy import optimize

    if seeds < 2:
        return float("inf")
    return float(optimize.brentq(lambda effect: power(effect, seeds, level) - wanted, 0.01, 100.0))
