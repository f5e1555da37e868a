"""`domain`: how well a classifier separates new documents from reference documents, by their characters.

The classifier is a ridge regression on TF-IDF of character n-grams, with leave-one-out scores: with the hat matrix H
these are (Hy − h·y) / (1 − h), h its diagonal (Allen 1974), so that a thousand permutations cost one fit. The statistic
is the area under the ROC curve: 0.5 if the windows cannot be separated.
"""

from __future__ import annotations

import numpy as np

from kepipe.arrays import Bools, Floats
from kepipe.drift.base import Drift, Windows, labels, require_enough
from kepipe.drift.permutation import permutation_test

RIDGE = 1.0
CHARACTERS = 4000
"""Only this many characters of a document are read."""


def compare(windows: Windows) -> Drift:
    """The statistic is the area under the curve; `reference` and `new` are the windows' mean scores."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    require_enough(len(windows.reference), len(windows.new))
    texts = [document.text[:CHARACTERS] for document in (*windows.reference, *windows.new)]
    vectorizer = TfidfVectorizer(
        analyzer="char_wb", ngram_range=(1, 3), max_features=20_000, sublinear_tf=True
    )
    features_NF = vectorizer.fit_transform(texts)
    kernel_NN = np.asarray((features_NF @ features_NF.T).todense(), np.float64)
    new_N = labels(len(windows.reference), len(windows.new))
    scores = _LeaveOneOutScores(kernel_NN)
    statistic, p = permutation_test(
        new_N, lambda assigned: _roc_auc(scores(assigned), assigned), windows.rng(6)
    )
    own_N = scores(new_N[None])[0]
    return Drift(float(own_N[~new_N].mean()), float(own_N[new_N].mean()), statistic, p)


class _LeaveOneOutScores:
    """Assignments [P, N] → each document's score by a regression on all other documents, float [P, N]."""

    def __init__(self, kernel_NN: Floats) -> None:
        centred_NN = kernel_NN - kernel_NN.mean(0) - kernel_NN.mean(1)[:, None] + kernel_NN.mean()
        size = len(kernel_NN)
        hat_NN = centred_NN @ np.linalg.inv(centred_NN + RIDGE * np.eye(size)) + 1 / size
        self._hat_NN, self._own_N = hat_NN, np.diag(hat_NN)

    def __call__(self, assigned_PN: Bools) -> Floats:
        labels_PN = assigned_PN.astype(np.float64)
        scores_PN: Floats = (labels_PN @ self._hat_NN.T - self._own_N * labels_PN) / (1 - self._own_N)
        return scores_PN


def _roc_auc(scores_PN: Floats, assigned_PN: Bools) -> Floats:
    """The area under each ROC curve, by ranks (Mann & Whitney 1947), assuming no ties: float [P]."""
    ranks_PN = scores_PN.argsort(axis=1).argsort(axis=1) + 1
    new = assigned_PN[0].sum()
    others = assigned_PN.shape[1] - new
    sums_P = (ranks_PN * assigned_PN).sum(axis=1)
    areas_P: Floats = (sums_P - new * (new + 1) / 2) / (new * others)
    return areas_P
