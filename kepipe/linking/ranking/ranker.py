"""The ranker: logistic regression from features to the probability that a candidate is what its mention means."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field

import numpy as np

from kepipe.arrays import Bools, Floats, Ints
from kepipe.linking.features.affinity import Affinity
from kepipe.linking.features.describe import FEATURES
from kepipe.linking.features.surroundings import MATCH_FEATURES
from kepipe.linking.ranking.logistic_loss import logistic_loss
from kepipe.linking.ranking.weights import HAND_SET, PRIOR_MEAN, Weights

NON_NEGATIVE = frozenset(
    ("log_prior", "weight", "likeliest", "is_label", "near", "anywhere", "related", "kindred", "beside", "in_title",
     "short_form", "kind_same", "affinity")
)  # fmt: skip
NON_POSITIVE = frozenset(("kind_clash", "elsewhere", "outsider", "category"))
"""Sign constraints: a feature that is evidence for an entity gets no negative weight, one that is evidence against it
no positive weight, whatever a small training set suggests."""
GRAPH_SPECIFIC = NON_NEGATIVE | HAND_SET.of_feature.keys() | {"bias"}
"""Features whose weights stay fixed when a ranker is trained for use with any graph: those with a hand-set weight and
those in `NON_NEGATIVE`. How informative a prior or a capital is depends on what a graph leaves out."""


@dataclass(frozen=True)
class Ranker:
    """p(candidate is meant) = 1 / (1 + exp(−(features · weights + bias))); below `threshold` it is NIL."""

    weights: Floats
    bias: float
    threshold: float = 0.5
    affinity: Affinity = field(default_factory=Affinity)
    trained: bool = False

    @classmethod
    def from_weights(cls, weights: Weights) -> Ranker:
        """An untrained ranker with these weights."""
        values = np.asarray([weights.of_feature.get(name, 0.0) for name in FEATURES])
        return cls(values, weights.bias, weights.threshold)

    def score(self, features: Floats, evidence: Floats | None = None) -> Floats:
        """Probabilities [P] of features [P, F]; `evidence` as in `score_parts`."""
        of_match, of_candidate = np.split(features.T, [len(MATCH_FEATURES)])
        return self.score_parts(of_match, of_candidate, np.arange(len(features)), evidence)

    def score_parts(
        self, of_match: Floats, of_candidate: Floats, owners: Ints, evidence: Floats | None
    ) -> Floats:
        """Probabilities [P] from match features [F₁, M] and candidate features [F₂, P] with their match index
        `owners` [P]; `evidence` is added to the logits [P].

        Features are summed one by one, in order. A matrix product would round differently depending on how many
        candidates are scored together.
        """
        split = len(MATCH_FEATURES)
        logits = _weighted_sum(of_match, self.weights[:split])[owners]
        logits += _weighted_sum(of_candidate, self.weights[split:]) + self.bias
        if evidence is not None:
            logits += evidence
        scores: Floats = 1.0 / (1.0 + np.exp(-np.clip(logits, -30.0, 30.0)))
        return scores


def _weighted_sum(features: Floats, weights: Floats) -> Floats:
    """The weighted sum of features [F, n]: [n]."""
    total = np.zeros(features.shape[1])
    for feature, weight in zip(features, weights.tolist(), strict=True):
        if weight:
            total += weight * feature
    return total


PRIOR_STD = 0.25
"""Standard deviation of the Gaussian prior on a weight, in logits per standard deviation of the feature."""
MIN_STD = 0.2
"""Lower bound on a feature's standard deviation, so that a rare feature cannot get an arbitrary weight."""


def fit(
    features: Floats,
    right: Bools,
    importance: Floats,
    affinity: Affinity,
    start: Weights = PRIOR_MEAN,
    frozen: Container[str] = (),
    device: str = "cpu",
) -> Ranker:
    """Fit to labelled candidates: features [P, F], labels bool [P], and sample weights `importance` [P]. `device`:
    where the loss is computed; the weights are the same up to rounding.

    A MAP estimate with a Gaussian prior on each weight centred at its value in `start`: the fewer examples there are,
    the closer the result stays to it. Weights of `NON_NEGATIVE` features are never negative, those of `NON_POSITIVE`
    never positive. Features in `frozen` keep their weights; if "bias" is in it, the logit of the mean feature vector
    is kept.
    """
    from scipy.optimize import minimize

    first = Ranker.from_weights(start)
    mean, scale = features.mean(axis=0), np.maximum(features.std(axis=0), MIN_STD)
    scaled = (features - mean) / scale
    center = np.append(first.weights * scale, first.bias + mean @ first.weights)
    loss_of = logistic_loss(scaled, right, importance, device)

    def loss(weights: Floats) -> tuple[float, Floats]:
        away = np.append((weights[:-1] - center[:-1]) / PRIOR_STD**2, 0.0)
        value, slope = loss_of(weights)
        return float(value + 0.5 * away @ (weights - center)), slope + away

    names = (*FEATURES, "bias")
    bounds = [
        (at, at)
        if name in frozen
        else (0.0 if name in NON_NEGATIVE else None, 0.0 if name in NON_POSITIVE else None)
        for name, at in zip(names, center.tolist(), strict=True)
    ]
    solution = minimize(loss, center, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 1000}).x
    weights = solution[:-1] / scale
    return Ranker(weights, float(solution[-1] - mean @ weights), affinity=affinity, trained=True)
