"""Weights of the labels in the loss, so that rare labels are learned too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from kepipe.arrays import Floats

ClassWeights = Literal["none", "balanced", "effective"]
"""balanced: 1 / frequency of the label in the training data; effective: 1 / effective number of its examples."""
BETA = 0.999
"""β of the effective number: beyond about 1 / (1 − β) examples, more of them add little."""


def effective_number(counts_L: Floats, beta: float = BETA) -> Floats:
    """(1 − βⁿ) / (1 − β) (Cui et al. 2019, eq. 2)."""
    numbers_L: Floats = (1 - beta**counts_L) / (1 - beta)
    return numbers_L


def label_weights(
    labels: Sequence[Sequence[float]], size: int, scheme: ClassWeights, *, several: bool
) -> Floats | None:
    """A weight for each of `size` labels, float [L]; None: equal weights. `labels`: the label indices of each row.

    With one label per case, weights are scaled to a mean of 1 over the training cases; `balanced` is then N / (L · n),
    as in scikit-learn. With `several`, the weight of a present label relative to an absent one, (N − n) / n or the
    same of effective numbers, as if the label occurred in half of the cases. A label without training cases has weight
    1.
    """
    if scheme == "none":
        return None
    of_labels = np.concatenate([np.asarray(each, np.int64) for each in labels])
    counts_L = np.bincount(of_labels, minlength=size).astype(np.float64)
    if several:
        present_L, absent_L = counts_L, len(labels) - counts_L
        if scheme == "effective":
            present_L, absent_L = effective_number(present_L), effective_number(absent_L)
        seen_L = (present_L > 0) & (absent_L > 0)
        return np.divide(absent_L, present_L, out=np.ones(size), where=seen_L)
    sizes_L = counts_L if scheme == "balanced" else effective_number(counts_L)
    weights_L = np.divide(1.0, sizes_L, out=np.zeros(size), where=counts_L > 0)
    weights_L *= counts_L.sum() / (counts_L @ weights_L)
    weights_L[counts_L == 0] = 1.0
    return weights_L
