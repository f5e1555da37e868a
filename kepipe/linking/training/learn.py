"""Train the ranker on texts with gold links, and choose its threshold on cross-validated scores.

Labels of candidates: if a match is exactly a gold link, the candidate with its row is positive and the others negative.
If a match only overlaps a gold link, or is a NIL link, all are negative, except that a candidate with the link's own
row ("Lincoln" in the link "Lincoln, Nebraska") is ignored. A match that touches no gold link is ignored too, since gold
links are not exhaustive, unless neither case, tagger nor NER take it for a name: then its candidates are negative.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from kepipe.arrays import Floats, Ints
from kepipe.linking.decision.decide import decide
from kepipe.linking.evaluation.score import Counts, Scores, count, summarise
from kepipe.linking.features.affinity import Affinity
from kepipe.linking.features.describe import FEATURES
from kepipe.linking.kb.links import Link
from kepipe.linking.ranking.ranker import GRAPH_SPECIFIC, Ranker, fit
from kepipe.linking.ranking.weights import PRIOR_MEAN, Weights
from kepipe.linking.training.examples import (
    EASY_NEGATIVE,
    IGNORED,
    POSITIVE,
    TrainingExample,
    label_candidates,
)

FOLDS = 5
MIN_POSITIVES = 30
"""With fewer positive candidates than this no ranker is trained."""
EASY_NEGATIVE_WEIGHT = 0.2
"""Sample weight of an easy negative."""
THRESHOLDS = np.arange(0.05, 0.96, 0.05)
SMALL_SET = 500
"""With fewer texts than this, the choice of the threshold is noisy, and the folds are drawn again."""
EXTRA_SPLITS = 4
"""The number of additional random divisions into folds for small sets."""
F1_TOLERANCE = 0.01
"""Thresholds whose F1 is at most this far below the best count as equally good."""


@dataclass(frozen=True)
class Learned:
    """The trained ranker, and its cross-validated scores."""

    ranker: Ranker
    validation: Scores


def learn(
    examples: Sequence[TrainingExample],
    types: int | None,
    complete: bool = False,
    start: Weights = PRIOR_MEAN,
    device: str = "cpu",
) -> Learned | None:
    """Fit a ranker and choose its threshold; None if the examples have too few positive candidates.

    Texts are scored by cross-validation over `FOLDS` folds, repeated with other folds for a small set. Among the
    thresholds whose F1 over these scores is at most `F1_TOLERANCE` below the best, the one nearest to half of the best
    F1 is taken, which is optimal for calibrated probabilities (Lipton, Elkan and Naryanaswamy 2014, theorem 1).

    `types`: the number of entity types; None: weights that depend on the graph (`ranker.GRAPH_SPECIFIC`) stay fixed,
    so that the ranker can be used with any graph. `complete`: gold links are exhaustive. `start`: the prior mean.
    `device`: where rankers are fitted; candidates are scored on the CPU.
    """
    labels = [label_candidates(example, complete) for example in examples]
    if sum(int((label == POSITIVE).sum()) for label in labels) < MIN_POSITIVES or len(examples) < FOLDS:
        return None
    rng = np.random.default_rng(0)
    splits = [np.arange(len(examples)) % FOLDS]
    splits += [rng.permutation(splits[0]) for _ in range(EXTRA_SPLITS if len(examples) < SMALL_SET else 0)]
    fit_to = partial(_fit, types=types, start=start, device=device)
    scored = [_cross_validated_scores(examples, labels, fit_to, fold_of) for fold_of in splits]
    by_threshold = [
        [summarise(_count(examples, scores, float(threshold), complete)) for threshold in THRESHOLDS]
        for scores in scored
    ]
    f1 = np.asarray([[summary.f1 for summary in each] for each in by_threshold]).mean(axis=0)
    good = np.flatnonzero(f1 >= f1.max() - F1_TOLERANCE)
    best = int(good[np.abs(THRESHOLDS[good] - f1.max() / 2).argmin()])
    ranker = replace(fit_to(examples, labels), threshold=round(float(THRESHOLDS[best]), 2))
    return Learned(ranker, by_threshold[0][best])


def _cross_validated_scores(
    examples: Sequence[TrainingExample], labels: Sequence[Ints], fit_to: Callable[..., Ranker], fold_of: Ints
) -> list[Floats]:
    """Scores of each example's candidates by a ranker fitted to the other folds; `fold_of`: the fold of each
    example."""
    scores: list[Floats] = [np.zeros(0)] * len(examples)
    for fold in range(FOLDS):
        kept = np.flatnonzero(fold_of != fold).tolist()
        ranker = fit_to([examples[number] for number in kept], [labels[number] for number in kept])
        for number in np.flatnonzero(fold_of == fold).tolist():
            scores[number] = ranker.score(_features(examples[number], ranker.affinity))
    return scores


def _fit(
    examples: Sequence[TrainingExample],
    labels: Sequence[Ints],
    types: int | None,
    start: Weights,
    device: str,
) -> Ranker:
    """Fit to examples; the affinity feature of an example is estimated on the other folds, to avoid overfitting."""
    used = [label != IGNORED for label in labels]
    others = [_affinity(examples, labels, types, leave_out=fold) for fold in range(FOLDS)]
    features = [
        _features(example, others[number % FOLDS])[kept]
        for number, (example, kept) in enumerate(zip(examples, used, strict=True))
    ]
    label = np.concatenate([label[kept] for label, kept in zip(labels, used, strict=True)])
    importance = np.where(label == EASY_NEGATIVE, EASY_NEGATIVE_WEIGHT, 1.0)
    affinity = _affinity(examples, labels, types, leave_out=-1)
    frozen = GRAPH_SPECIFIC if types is None else ()
    return fit(np.concatenate(features), label == POSITIVE, importance, affinity, start, frozen, device)


def _affinity(
    examples: Sequence[TrainingExample], labels: Sequence[Ints], types: int | None, leave_out: int
) -> Affinity:
    if types is None:
        return Affinity()
    kept = [number for number in range(len(examples)) if number % FOLDS != leave_out]
    label = np.concatenate([labels[number] for number in kept])
    used = label != IGNORED
    groups = np.concatenate([examples[number].groups for number in kept])[used]
    entity_types = np.concatenate([examples[number].types for number in kept])[used]
    return Affinity.learn(groups, entity_types, label[used] == POSITIVE, types)


def _features(example: TrainingExample, affinity: Affinity) -> Floats:
    features = example.features.copy()
    features[:, FEATURES.index("affinity")] = affinity.of(example.groups, example.types)
    return features


def _count(
    examples: Sequence[TrainingExample], scores: Sequence[Floats], threshold: float, complete: bool
) -> list[Counts]:
    counts = []
    for example, score in zip(examples, scores, strict=True):
        matches = example.matches
        links = [
            Link(int(matches.starts[match]), int(matches.ends[match]), row)
            for match, row, _ in decide(matches, np.where(example.allowed, score, -1.0), threshold)
            if example.span[0] <= matches.starts[match] and matches.ends[match] <= example.span[1]
        ]
        counts.append(count(links, example.given, complete))
    return counts
