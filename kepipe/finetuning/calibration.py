"""Calibration of probabilities: the expected calibration error, and temperature scaling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kepipe.arrays import Bools, Floats, Ints
from kepipe.finetuning.examples import Example
from kepipe.finetuning.metrics import Metric

BINS = 15
LOWEST, HIGHEST = 0.5, 10.0
"""The range of temperatures. Without a bound, a few examples without mistakes would give a temperature of 0."""
_TINY = 1e-12


def gold_labels(example: Example, labels: Sequence[str], *, several: bool) -> Ints | Bools:
    """The gold labels of an example's cases: label indices, int [cases]; if `several`, bool [1, L]."""
    if several:
        return np.isin(labels, example.gold)[None]
    numbers = {label: number for number, label in enumerate(labels)}
    return np.array([numbers[label] for label in example.gold], np.int64)


def decisions(
    probabilities: Sequence[Floats], gold: Sequence[Ints | Bools], *, several: bool
) -> list[tuple[Floats, Bools]]:
    """Confidence and correctness of the decisions of each example: [D] and [D].

    With one label, the decision for the most probable label; with `several`, the decision for or against each label.
    Words that no row covers (NaN) are left out."""
    found = []
    for probable_NL, gold_N in zip(probabilities, gold, strict=True):
        read_N = ~np.isnan(probable_NL).any(axis=1)
        probable, true = probable_NL[read_N], gold_N[: len(probable_NL)][read_N]
        if several:
            found.append((np.maximum(probable, 1 - probable).ravel(), ((probable > 0.5) == true).ravel()))
        else:
            found.append((probable.max(axis=1), probable.argmax(axis=1) == true))
    return found


def calibration_error(sure: Sequence[tuple[Floats, Bools]]) -> Metric:
    """The expected calibration error over 15 bins of equal width: Σ over bins of |Σ correct − Σ confidence| / number of
    decisions (Naeini et al. 2015; Guo et al. 2017, eq. 3). An example is a case."""
    gaps_NB, counts_N = np.zeros((len(sure), BINS)), np.zeros((len(sure), 1))
    for case, (sure_D, right_D) in enumerate(sure):
        bin_D = np.clip(np.ceil(sure_D * BINS).astype(np.int64) - 1, 0, BINS - 1)
        np.add.at(gaps_NB[case], bin_D, right_D - sure_D)
        counts_N[case] = len(sure_D)

    def value(sums: Floats) -> Any:
        return np.abs(sums[..., :BINS]).sum(axis=-1) / np.maximum(sums[..., BINS], 1)

    return Metric(np.concatenate([gaps_NB, counts_N], axis=1), value)


def negative_log_likelihood(
    probabilities: Sequence[Floats], gold: Sequence[Ints | Bools], *, several: bool
) -> float:
    """−ln p of the gold labels, mean over decisions."""
    losses = []
    for probable_NL, gold_N in zip(probabilities, gold, strict=True):
        read_N = ~np.isnan(probable_NL).any(axis=1)
        probable, true = probable_NL[read_N], gold_N[: len(probable_NL)][read_N]
        of_true = np.where(true, probable, 1 - probable) if several else probable[np.arange(len(true)), true]
        losses.append(-np.log(np.maximum(of_true, _TINY)).ravel())
    return float(np.concatenate(losses).mean())


def fit_temperature(
    probable: Callable[[float], Sequence[Floats]], gold: Sequence[Ints | Bools], *, several: bool
) -> float:
    """The temperature that minimises the negative log-likelihood of the gold labels. `probable`: temperature →
    probabilities."""
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        found = probable(float(np.exp(log_temperature)))
        return negative_log_likelihood(found, gold, several=several)

    bounds = (np.log(LOWEST), np.log(HIGHEST))
    best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-3})
    return float(np.exp(best.x))
