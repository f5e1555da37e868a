"""Ranking metrics: the rank of the true answer among its candidates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kepipe.arrays import Floats


def realistic_ranks(scores_NK: npt.ArrayLike, truth_N: npt.ArrayLike) -> Floats:
    """Rank of the true candidate in each row, best first, from 1; ties count half.

    The mean of the optimistic and the pessimistic rank (Berrendorf et al. 2020), so that constant scores are not
    rewarded. −inf marks a column that is not a candidate.
    """
    scores, truth = np.asarray(scores_NK, np.float64), np.asarray(truth_N, np.int64)
    true_N1 = np.take_along_axis(scores, truth[:, None], axis=1)
    better = (scores > true_N1).sum(axis=1)
    ties = (scores == true_N1).sum(axis=1) - 1
    ranks: Floats = 1.0 + better + ties / 2
    return ranks


def per_case(ranks_N: Floats) -> dict[str, Floats]:
    """Metric → its value on each case; the metric is their mean."""
    return {
        "mrr": 1.0 / ranks_N,
        "hits@1": (ranks_N <= 1).astype(np.float64),
        "hits@10": (ranks_N <= 10).astype(np.float64),
    }


def chance(candidates_N: npt.ArrayLike) -> dict[str, Floats]:
    """The expectation of `per_case` if the K candidates of each case are ordered at random: MRR is H_K / K."""
    sizes_N = np.asarray(candidates_N, np.int64)
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, sizes_N.max(initial=1) + 1))])
    return {
        "mrr": harmonic[sizes_N] / sizes_N,
        "hits@1": 1.0 / sizes_N,
        "hits@10": np.minimum(10, sizes_N) / sizes_N,
    }
