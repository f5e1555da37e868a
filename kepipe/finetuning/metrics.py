"""Metrics as functions of sums over cases, so that one bootstrap gives an interval for each of them.

A case (a text, a sentence, a question) is a row; its columns are its summands: the numbers of correct, gold and
predicted labels. Micro-F1 is 2·Σcorrect / (Σpredicted + Σgold), the reciprocal rank a mean, and so on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from kepipe.arrays import Bools, Floats, Ints
from kepipe.studies.intervals import FEWEST_CLUSTERS, Estimate

RESAMPLES = 2000


@dataclass(frozen=True)
class Metric:
    """`columns`: float [N, K], the summands of each case; `value`: sums [..., K] → the metric [...]."""

    columns: Floats
    value: Callable[[Floats], Any]

    @property
    def score(self) -> float:
        """The metric over all cases."""
        return float(self.value(self.columns.sum(axis=0)))


def summarise(metrics: Mapping[str, Metric], seed: int) -> dict[str, Estimate]:
    """Metric → its value, with the 95% percentile bootstrap over cases.

    Efron & Tibshirani 1993, §13.3. The same cases are drawn for every metric.
    """
    columns = np.concatenate([metric.columns for metric in metrics.values()], axis=1)
    borders = np.cumsum([metric.columns.shape[1] for metric in metrics.values()])[:-1]
    number = len(columns)
    sums = np.split(_resample(columns, seed), borders, axis=1) if number >= FEWEST_CLUSTERS else None
    scores = {}
    for place, (name, metric) in enumerate(metrics.items()):
        low = high = None
        if sums is not None:
            low, high = (float(bound) for bound in np.quantile(metric.value(sums[place]), [0.025, 0.975]))
        scores[name] = Estimate(metric.score, low, high, number, number)
    return scores


def _resample(columns: Floats, seed: int) -> Floats:
    """Column sums of RESAMPLES bootstrap samples, each of N cases with replacement: float [RESAMPLES, K]."""
    rng, number = np.random.default_rng(seed), len(columns)
    # In chunks of counts: all at once, ten thousand cases would take 160 MB.
    pieces = [
        rng.multinomial(number, np.full(number, 1 / number), size=RESAMPLES // 40) @ columns
        for _ in range(40)
    ]
    return np.concatenate(pieces)


def mean(values_N: npt.NDArray[Any]) -> Metric:
    """The mean of a value per case."""
    ones = np.ones(len(values_N))
    return Metric(
        np.stack([values_N.astype(np.float64), ones], axis=1), lambda sums: sums[..., 0] / sums[..., 1]
    )


def accuracy(gold_N: Ints, predicted_N: Ints) -> Metric:
    """The share of correct predictions."""
    return mean(gold_N == predicted_N)


def one_hot(labels_N: Ints, counted_L: Bools) -> Bools:
    """One-hot labels, bool [N, L]; columns of classes that are not counted are false."""
    hot_NL: Bools = (labels_N[:, None] == np.arange(len(counted_L))) & counted_L
    return hot_NL


def micro_f1(gold_NL: Bools, predicted_NL: Bools) -> Metric:
    """Micro-averaged F1 from gold and predicted labels."""
    right_N = (gold_NL & predicted_NL).sum(axis=1)
    return f1_of_counts(right_N, predicted_NL.sum(axis=1), gold_NL.sum(axis=1))


def f1_of_counts(right_N: Ints, predicted_N: Ints, given_N: Ints) -> Metric:
    """F1 from the numbers of correct, predicted and gold labels of each case; 0 if there are none at all."""
    columns = np.stack([right_N, predicted_N, given_N], axis=1).astype(np.float64)
    return Metric(columns, lambda sums: 2 * sums[..., 0] / np.maximum(sums[..., 1] + sums[..., 2], 1))


def share(parts_N: npt.NDArray[Any], whole_N: npt.NDArray[Any]) -> Metric:
    """Σ parts / Σ whole, such as precision or recall; 0 if Σ whole is 0."""
    columns = np.stack([parts_N, whole_N], axis=1).astype(np.float64)
    return Metric(columns, lambda sums: sums[..., 0] / np.maximum(sums[..., 1], 1))
