"""Permutation tests between two windows of documents: how often chance alone moves a statistic so far.

Documents are what is permuted, so that mentions and tokens of one document stay together. With P permutations the
p-value is (1 + those that reach the statistic) / (1 + P), which holds the level exactly where the windows are drawn
from one source (Phipson & Smyth 2010, Permutation P-values Should Never Be Zero, §2).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kepipe.arrays import Bools, Floats

PERMUTATIONS = 999
FEWEST = 5
"""Documents that a window needs for a test."""


def assignments(new_N: Bools, rng: np.random.Generator, count: int = PERMUTATIONS) -> Bools:
    """Which documents are called new: bool [1 + count, N], the truth first."""
    return np.stack([new_N, *(rng.permutation(new_N) for _ in range(count))])


def p_value(statistics_P: Floats) -> float:
    """Of the first statistic among all; a larger one is more drift."""
    reached = statistics_P[1:] >= statistics_P[0] - 1e-12
    return float((1 + np.count_nonzero(reached)) / len(statistics_P))


def tested(
    new_N: Bools, statistic: Callable[[Bools], Floats], rng: np.random.Generator
) -> tuple[float, float]:
    """The statistic of the windows, and its p-value. `statistic`: of assignments [P, N] → [P]."""
    statistics_P = statistic(assignments(new_N, rng))
    return float(statistics_P[0]), p_value(statistics_P)


def apart(values_N: Floats) -> Callable[[Bools], Floats]:
    """The statistic |mean of the new − mean of the others|."""

    def statistic(assigned_PN: Bools) -> Floats:
        new_PN = assigned_PN.astype(np.float64)
        size = new_PN[0].sum()
        sums_P = new_PN @ values_N
        distances_P: Floats = np.abs(sums_P / size - (values_N.sum() - sums_P) / (len(values_N) - size))
        return distances_P

    return statistic
