"""`domain`: how well a classifier tells new documents from those before, by their characters.

A ridge regression on TF-IDF of character n-grams, its scores for each document by leaving that one out: with the hat
matrix H these are (Hy − h·y) / (1 − h), h its diagonal (Allen 1974), so that a thousand permutations cost one fit. The
statistic is the area under the ROC curve: 0.5 where they cannot be told apart.
"""

from __future__ import annotations

import numpy as np

from kepipe.arrays import Bools, Floats
from kepipe.drift.base import Drift, Windows, labels, require
from kepipe.drift.permutation import tested

RIDGE = 1.0
CHARACTERS = 4000
"""Of a document no more than its first characters are read."""


def compare(windows: Windows) -> Drift:
    """The area under the curve; `reference` and `new` are the two windows' mean scores."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    require(len(windows.reference), len(windows.new))
    texts = [document.text[:CHARACTERS] for document in (*windows.reference, *windows.new)]
    vectorizer = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(1, 3), max_features=20_000, sublinear_tf=True
    )
    features_NF = vectorizer.fit_transform(texts)
    kernel_NN = np.asarray((features_NF @ features_NF.T).todense(), np.float64)
    new_N = labels(len(windows.reference), len(windows.new))
    scores = _left_out(kernel_NN)
    statistic, p = tested(new_N, lambda assigned: _areas(scores(assigned), assigned), windows.rng(6))
    own_N = scores(new_N[None])[0]
    return Drift(float(own_N[~new_N].mean()), float(own_N[new_N].mean()), statistic, p)


class _left_out:  # noqa: N801
    """Assignments [P, N] → the score of each document by a regression on all others, float [P, N]."""

    def __init__(self, kernel_NN: Floats) -> None:
        centred_NN = kernel_NN - kernel_NN.mean(0) - kernel_NN.mean(1)[:, None] + kernel_NN.mean()
        size = len(kernel_NN)
        hat_NN = centred_NN @ np.linalg.inv(centred_NN + RIDGE * np.eye(size)) + 1 / size
        self._hat_NN, self._own_N = hat_NN, np.diag(hat_NN)

    def __call__(self, assigned_PN: Bools) -> Floats:
        labels_PN = assigned_PN.astype(np.float64)
        scores_PN: Floats = (labels_PN @ self._hat_NN.T - self._own_N * labels_PN) / (1 - self._own_N)
        return scores_PN


def _areas(scores_PN: Floats, assigned_PN: Bools) -> Floats:
    """The area under each curve, by ranks (Mann & Whitney 1947); scores are taken to be without ties."""
    ranks_PN = scores_PN.argsort(axis=1).argsort(axis=1) + 1
    new = assigned_PN[0].sum()
    others = assigned_PN.shape[1] - new
    sums_P = (ranks_PN * assigned_PN).sum(axis=1)
    areas_P: Floats = (sums_P - new * (new + 1) / 2) / (new * others)
    return areas_P
