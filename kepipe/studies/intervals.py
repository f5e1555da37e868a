"""Estimates with intervals: a mean over cases that are grouped in documents, and the paired difference of two arms.

Cases of one document are dependent (they share topic, style and names), so documents are resampled; resampling cases
gives intervals that are too narrow. The bootstrap is studentised: with the ten to forty held-out documents of a small
corpus, its 95% interval contains the true value in 93-94% of simulated corpora, the percentile and the BCa interval in
86-92%.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kepipe.arrays import Floats

FEWEST_CLUSTERS = 5
"""With fewer documents there is no interval, since there are too few to resample."""


@dataclass(frozen=True)
class Estimate:
    """A mean over `cases` in `clusters`; `low` and `high` are None if there are too few clusters."""

    value: float
    low: float | None
    high: float | None
    cases: int
    clusters: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval is on one side of 0."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)

    def as_json(self) -> dict[str, Any]:
        """A plain dict, as in `scores.json`."""
        return asdict(self)


def clustered_mean(
    values_N: npt.ArrayLike,
    clusters_N: npt.ArrayLike,
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = 2000,
    within: tuple[float, float] = (-np.inf, np.inf),
) -> Estimate:
    """Mean of `values_N` with a studentised bootstrap interval over the clusters.

    `within`: bounds of the quantity. Raises ValueError for no values or different lengths.
    """
    values = np.asarray(values_N, np.float64)
    return clustered_ratio(values, np.ones_like(values), clusters_N, rng, level, resamples, within)


def clustered_ratio(
    values_N: npt.ArrayLike,
    amounts_N: npt.ArrayLike,
    clusters_N: npt.ArrayLike,
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = 2000,
    within: tuple[float, float] = (-np.inf, np.inf),
) -> Estimate:
    """Σ values / Σ amounts, such as nats per word, with a studentised bootstrap interval over the clusters.

    The standard error of the ratio of sums over clusters, Σ s_g / Σ n_g, is the linearised one with residuals
    s_g − ratio·n_g (Efron & Tibshirani 1993, §12.5). Raises ValueError for no values or different lengths.
    """
    values, amounts = np.asarray(values_N, np.float64), np.asarray(amounts_N, np.float64)
    clusters = np.asarray(clusters_N)
    if values.ndim != 1 or not values.shape == amounts.shape == clusters.shape or not len(values):
        raise ValueError(
            f"expected values and clusters of one length above 0, got {values.shape} and {clusters.shape}"
        )
    _, index_N = np.unique(clusters, return_inverse=True)
    sums_G = np.bincount(index_N, values).astype(np.float64)
    counts_G = np.bincount(index_N, amounts).astype(np.float64)
    mean, number = float(values.sum() / amounts.sum()), len(sums_G)
    if number < FEWEST_CLUSTERS:
        return Estimate(mean, None, None, len(values), number)
    weights_RG = rng.multinomial(number, np.full(number, 1 / number), size=resamples).astype(np.float64)
    means_R, errors_R = _ratio(sums_G, counts_G, weights_RG)
    _, (error,) = _ratio(sums_G, counts_G, np.ones((1, number)))
    spread = errors_R > 1e-12 * max(error, 1e-12)  # a resample of a single repeated document has no error
    t_R = (means_R[spread] - mean) / errors_R[spread] if spread.any() else np.zeros(1)
    low_t, high_t = np.quantile(t_R, [(1 - level) / 2, (1 + level) / 2])
    low, high = np.clip([mean - high_t * error, mean - low_t * error], *within)
    return Estimate(mean, float(low), float(high), len(values), number)


def paired_difference(
    first_N: npt.ArrayLike,
    second_N: npt.ArrayLike,
    clusters_N: npt.ArrayLike,
    rng: np.random.Generator,
    level: float = 0.95,
    resamples: int = 2000,
) -> Estimate:
    """Mean of first − second over the same cases, so that differences in difficulty between cases cancel."""
    first, second = np.asarray(first_N, np.float64), np.asarray(second_N, np.float64)
    if first.shape != second.shape:
        raise ValueError(f"paired values must be of the same cases, got {first.shape} and {second.shape}")
    return clustered_mean(first - second, clusters_N, rng, level, resamples)


def mean_over_seeds(values_S: npt.ArrayLike, level: float = 0.95) -> Estimate:
    """Mean of one value per seed with Student's t interval, s/√S times the quantile with S − 1 degrees of freedom.

    Not a bootstrap: three values have ten distinct resamples, and their percentile interval contains the true value in
    three of four cases. The t interval is exact for normal values, and wide: ± 2.48 standard deviations with 3 seeds,
    ± 1.24 with 5. There is no interval if all values are equal, since the variation between seeds is then unknown. For
    a paired comparison, give the differences by seed.
    Raises ValueError for no values.
    """
    from scipy import stats

    values = np.asarray(values_S, np.float64)
    if values.ndim != 1 or not len(values):
        raise ValueError(f"expected a value for each seed, got an array of shape {values.shape}")
    mean, number = float(values.mean()), len(values)
    error = float(values.std(ddof=1)) / np.sqrt(number) if number > 1 else 0.0
    if error <= 1e-12 * max(abs(mean), 1e-12):
        return Estimate(mean, None, None, number, number)
    reach = float(stats.t.ppf((1 + level) / 2, number - 1)) * error
    return Estimate(mean, mean - reach, mean + reach, number, number)


def _ratio(sums_G: Floats, counts_G: Floats, weights_RG: Floats) -> tuple[Floats, Floats]:
    """Mean and linearised standard error of each resample (a row of how often each cluster was drawn)."""
    number = len(sums_G)
    totals_R = weights_RG @ counts_G
    means_R = weights_RG @ sums_G / totals_R
    residuals_RG = sums_G - means_R[:, None] * counts_G
    variance_R = number / (number - 1) * (weights_RG * residuals_RG**2).sum(axis=1)
    return means_R, np.sqrt(variance_R) / totals_R
