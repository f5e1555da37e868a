"""Permutation tests between two windows of documents.

Documents are permuted, so that the mentions and tokens of a document stay together. With P permutations the p-value is
(1 + number of permutations that reach the statistic) / (1 + P), which is exact if both windows come from one source
(Phipson & Smyth 2010, Permutation P-values Should Never Be Zero, §2).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kepipe.arrays import Bools, Floats

PERMUTATIONS = 999
MIN_DOCUMENTS = 5
"""Minimum number of documents per window for a test."""


def assignments(new_N: Bools, rng: np.random.Generator, count: int = PERMUTATIONS) -> Bools:
    """Random assignments of documents to windows, true for new: bool [1 + count, N], the true one first."""
    return np.stack([new_N, *(rng.permutation(new_N) for _ in range(count))])


def p_value(statistics_P: Floats) -> float:
    """The p-value of the first statistic among all [P]; larger statistics are more extreme."""
    reached = statistics_P[1:] >= statistics_P[0] - 1e-12
    return float((1 + np.count_nonzero(reached)) / len(statistics_P))


def permutation_test(
    new_N: Bools, statistic: Callable[[Bools], Floats], rng: np.random.Generator
) -> tuple[float, float]:
    """The statistic of the true assignment, and its p-value. `statistic`: assignments [P, N] → statistics [P]."""
    statistics_P = statistic(assignments(new_N, rng))
    return float(statistics_P[0]), p_value(statistics_P)


def mean_difference(values_N: Floats) -> Callable[[Bools], Floats]:
    """The statistic |mean of the new − mean of the others|."""

    def statistic(assigned_PN: Bools) -> Floats:
        new_PN = assigned_PN.astype(np.float64)
        size = new_PN[0].sum()
        sums_P = new_PN @ values_N
        distances_P: Floats = np.abs(sums_P / size - (values_N.sum() - sums_P) / (len(values_N) - size))
        return distances_P

    return statistic
