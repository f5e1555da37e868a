"""Train the ranker on texts with given links, and choose its threshold on scores it gave to texts unseen.

What a candidate's truth is: of a match that is exactly a given link, the candidate with its row is right and
the others wrong; of a match that only overlaps a given link, or is a NIL link, all are wrong, but one that has
the link's own row ("Lincoln" in a link "Lincoln, Nebraska") is left out. A match without a given link is
left out too, as links do not mark everything, except where neither case, tagger nor NER takes it for a name: then
its candidates are wrong.
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
from kepipe.linking.ranking.ranker import OF_GRAPH, Ranker, fit
from kepipe.linking.ranking.weights import EXPECTED, Weights
from kepipe.linking.training.examples import LEFT_OUT, PLAIN, RIGHT, TrainingExample, label_candidates

FOLDS = 5
MIN_RIGHT = 30
"""With fewer right candidates than this nothing is learned."""
PLAIN_WEIGHT = 0.2
"""How much a candidate counts whose text nothing takes for a name."""
THRESHOLDS = np.arange(0.05, 0.96, 0.05)
FEW = 500
"""With fewer texts than this, chance has much to say in which threshold is chosen,"""
AGAIN = 4
"""so that it is chosen on so many further divisions of them."""
FLAT = 0.01
"""Thresholds whose F1 differs by less than this are taken for equally good."""


@dataclass(frozen=True)
class Learned:
    """The ranker, and how it scored on texts that it had not seen (by cross-validation)."""

    ranker: Ranker
    validation: Scores


def learn(
    examples: Sequence[TrainingExample], types: int | None, complete: bool = False, start: Weights = EXPECTED
) -> Learned | None:
    """Fit a ranker and calibrate its threshold; None where the examples have too few right candidates.

    Texts are scored by rankers that were fitted without them, in `FOLDS` parts; a few texts several times, in other
    parts, since there chance has much to say. Of the thresholds whose F1 over these scores is at most `FLAT` below the
    best, the one nearest to half of that F1 is taken: where probabilities are calibrated, it is the best (Lipton, Elkan
    and Naryanaswamy 2014, theorem 1). `types`: the number of types; None: nothing is learned that
    depends on the graph (`ranker.OF_GRAPH`), so that the ranker fits any. Learning begins at `start`.
    """
    truths = [label_candidates(example, complete) for example in examples]
    if sum(int((truth == RIGHT).sum()) for truth in truths) < MIN_RIGHT or len(examples) < FOLDS:
        return None
    rng = np.random.default_rng(0)
    parts = [np.arange(len(examples)) % FOLDS]
    parts += [rng.permutation(parts[0]) for _ in range(AGAIN if len(examples) < FEW else 0)]
    fit_to = partial(_fit, types=types, start=start)
    scored = [_score_unseen(examples, truths, fit_to, part) for part in parts]
    by_threshold = [
        [summarise(_count(examples, scores, float(threshold), complete)) for threshold in THRESHOLDS]
        for scores in scored
    ]
    f1 = np.asarray([[summary.f1 for summary in each] for each in by_threshold]).mean(axis=0)
    good = np.flatnonzero(f1 >= f1.max() - FLAT)
    best = int(good[np.abs(THRESHOLDS[good] - f1.max() / 2).argmin()])
    ranker = replace(fit_to(examples, truths), threshold=round(float(THRESHOLDS[best]), 2))
    return Learned(ranker, by_threshold[0][best])


def _score_unseen(
    examples: Sequence[TrainingExample], truths: Sequence[Ints], fit_to: Callable[..., Ranker], part: Ints
) -> list[Floats]:
    """The scores of each example's candidates by a ranker fitted to the other parts; `part`: that of each example."""
    scores: list[Floats] = [np.zeros(0)] * len(examples)
    for fold in range(FOLDS):
        kept = np.flatnonzero(part != fold).tolist()
        ranker = fit_to([examples[number] for number in kept], [truths[number] for number in kept])
        for number in np.flatnonzero(part == fold).tolist():
            scores[number] = ranker.score(_features(examples[number], ranker.affinity))
    return scores


def _fit(
    examples: Sequence[TrainingExample], truths: Sequence[Ints], types: int | None, start: Weights
) -> Ranker:
    """Fit to examples; where affinity is a feature it is learned from the other folds, lest it be trusted too much."""
    used = [truth != LEFT_OUT for truth in truths]
    others = [_affinity(examples, truths, types, leave_out=fold) for fold in range(FOLDS)]
    features = [
        _features(example, others[number % FOLDS])[kept]
        for number, (example, kept) in enumerate(zip(examples, used, strict=True))
    ]
    truth = np.concatenate([truth[kept] for truth, kept in zip(truths, used, strict=True)])
    importance = np.where(truth == PLAIN, PLAIN_WEIGHT, 1.0)
    affinity = _affinity(examples, truths, types, leave_out=-1)
    held = OF_GRAPH if types is None else ()
    return fit(np.concatenate(features), truth == RIGHT, importance, affinity, start, held)


def _affinity(
    examples: Sequence[TrainingExample], truths: Sequence[Ints], types: int | None, leave_out: int
) -> Affinity:
    if types is None:
        return Affinity()
    taken = [number for number in range(len(examples)) if number % FOLDS != leave_out]
    truth = np.concatenate([truths[number] for number in taken])
    used = truth != LEFT_OUT
    groups = np.concatenate([examples[number].groups for number in taken])[used]
    kinds = np.concatenate([examples[number].types for number in taken])[used]
    return Affinity.learn(groups, kinds, truth[used] == RIGHT, types)


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
