"""Features → how likely a candidate is what a mention means: logistic regression, one weight a feature."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field

import numpy as np

from kepipe.arrays import Bools, Floats, Ints
from kepipe.linking.features.affinity import Affinity
from kepipe.linking.features.describe import FEATURES
from kepipe.linking.features.surroundings import MATCH_FEATURES
from kepipe.linking.ranking.weights import BY_HAND, EXPECTED, Weights

FOR = frozenset(
    ("log_prior", "weight", "likeliest", "is_label", "near", "anywhere", "related", "kindred", "beside", "in_title",
     "short_form", "kind_same", "affinity")
)  # fmt: skip
AGAINST = frozenset(("kind_clash", "elsewhere", "outsider", "category"))
"""What says which entity is meant can only speak for it, or against it, whatever a few texts seem to teach."""
OF_GRAPH = FOR | BY_HAND.of_feature.keys() | {"bias"}
"""What is not to be learned for any graph: all that has a weight by hand, or speaks for an entity. How much a prior or
a capital tells depends on what a graph leaves out."""


@dataclass(frozen=True)
class Ranker:
    """p(candidate is meant) = 1 / (1 + exp(−(features · weights + bias))); below `threshold` it is NIL."""

    weights: Floats
    bias: float
    threshold: float = 0.5
    affinity: Affinity = field(default_factory=Affinity)
    trained: bool = False

    @classmethod
    def of(cls, weights: Weights) -> Ranker:
        """A ranker of such weights."""
        values = np.asarray([weights.of_feature.get(name, 0.0) for name in FEATURES])
        return cls(values, weights.bias, weights.threshold)

    def score(self, features: Floats) -> Floats:
        """Probabilities [P] of features [P, F]."""
        of_match, of_candidate = np.split(features.T, [len(MATCH_FEATURES)])
        return self.score_parts(of_match, of_candidate, np.arange(len(features)))

    def score_parts(self, of_match: Floats, of_candidate: Floats, owners: Ints) -> Floats:
        """The same of features of matches [F₁, M] and of candidates [F₂, P] whose matches are `owners` [P].

        Features are added one by one, in order, so that a candidate's score does not depend on how many others are
        scored with it, as it does, by rounding, where a library multiplies matrices.
        """
        split = len(MATCH_FEATURES)
        logits = _weigh(of_match, self.weights[:split])[owners]
        logits += _weigh(of_candidate, self.weights[split:]) + self.bias
        scores: Floats = 1.0 / (1.0 + np.exp(-np.clip(logits, -30.0, 30.0)))
        return scores


def _weigh(features: Floats, weights: Floats) -> Floats:
    """The weighted sum of features [F, n]: [n]."""
    total = np.zeros(features.shape[1])
    for feature, weight in zip(features, weights.tolist(), strict=True):
        if weight:
            total += weight * feature
    return total


SPREAD = 0.25
"""How far, in logits a standard deviation of the feature, a weight is expected to lie from where it starts."""
RARE = 0.2
"""A feature whose standard deviation is less is taken to have this, lest a rare one weigh anything at will."""


def fit(
    features: Floats,
    right: Bools,
    importance: Floats,
    affinity: Affinity,
    start: Weights = EXPECTED,
    held: Container[str] = (),
) -> Ranker:
    """Fit to candidates whose truth is known: [P, F], bool [P], and how much each counts [P].

    The most probable weights where each is a priori normal about its value in `start`: the fewer examples there
    are, the closer the result stays to it. Weights of features `FOR` an entity are never negative, nor those
    `AGAINST` it positive. Features that are `held` keep their weights; where "bias" is, how likely the average
    candidate is stays too.
    """
    from scipy.optimize import minimize

    first = Ranker.of(start)
    mean, scale = features.mean(axis=0), np.maximum(features.std(axis=0), RARE)
    scaled = (features - mean) / scale
    center = np.append(first.weights * scale, first.bias + mean @ first.weights)
    sign = np.where(right, 1.0, -1.0)

    def loss(weights: Floats) -> tuple[float, Floats]:
        margin = sign * (scaled @ weights[:-1] + weights[-1])
        away = np.append((weights[:-1] - center[:-1]) / SPREAD**2, 0.0)
        value = importance @ np.logaddexp(0.0, -margin) + 0.5 * away @ (weights - center)
        slope = -sign * importance / (1.0 + np.exp(np.clip(margin, -500.0, 500.0)))
        return float(value), np.append(slope @ scaled, slope.sum()) + away

    names = (*FEATURES, "bias")
    bounds = [
        (at, at) if name in held else (0.0 if name in FOR else None, 0.0 if name in AGAINST else None)
        for name, at in zip(names, center.tolist(), strict=True)
    ]
    solution = minimize(loss, center, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 1000}).x
    weights = solution[:-1] / scale
    return Ranker(weights, float(solution[-1] - mean @ weights), affinity=affinity, trained=True)
