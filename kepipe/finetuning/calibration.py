"""How far probabilities can be believed: the calibration error, and the temperature that lowers it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kepipe.arrays import Bools, Floats, Ints
from kepipe.finetuning.examples import Example
from kepipe.finetuning.metrics import Metric

BINS = 15
LOWEST, HIGHEST = 0.5, 10.0
"""Temperatures that are looked among. A few examples without a mistake would ask for 0, and for the surest answers."""
_TINY = 1e-12


def gold_labels(example: Example, labels: Sequence[str], *, several: bool) -> Ints | Bools:
    """The true labels of an example's cases: the number of each, int [cases]; of several, bool [1, L]."""
    if several:
        return np.isin(labels, example.gold)[None]
    numbers = {label: number for number, label in enumerate(labels)}
    return np.array([numbers[label] for label in example.gold], np.int64)


def decisions(
    probabilities: Sequence[Floats], gold: Sequence[Ints | Bools], *, several: bool
) -> list[tuple[Floats, Bools]]:
    """How sure each decision of each example is, and whether it is right: of one label, that for the likeliest; of
    several, for or against each label. Words that no row reads are no decision."""
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
    """The expected calibration error: Σ over bins of |decisions that are right − the sum of how sure they are| / all of
    them (Naeini et al. 2015; Guo et al. 2017, eq. 3), 15 bins of equal width. An example is a case."""
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
    """−ln p of the true labels, the mean over decisions."""
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
    """The temperature at which the true labels are likeliest. `probable`: temperature → probabilities."""
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        found = probable(float(np.exp(log_temperature)))
        return negative_log_likelihood(found, gold, several=several)

    bounds = (np.log(LOWEST), np.log(HIGHEST))
    best = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-3})
    return float(np.exp(best.x))
