"""Labels of candidates by two views that agree, without gold links, and rankers that learn from them.

The *name view* is the logit of all features but those of the context, the *context view* that of words and neighbours
of the entity in the text. A link is certain if it is probable and both views prefer it to the others of its match; an
improbable candidate without a context is wrong, and so is what overlaps a certain link; all others are left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from kepipe.arrays import Bools, Floats, Ints
from kepipe.linking.corpus.annotated import AnnotatedChunk
from kepipe.linking.decision.decide import decide
from kepipe.linking.evaluation.score import count
from kepipe.linking.features.affinity import Affinity
from kepipe.linking.features.describe import FEATURES
from kepipe.linking.kb.links import NIL, UNKNOWN
from kepipe.linking.linker import Linker
from kepipe.linking.ranking.ranker import Ranker, fit
from kepipe.linking.ranking.weights import GENERAL, PRIOR_MEAN
from kepipe.linking.text.annotations import Annotations
from kepipe.linking.text.casing import Casing, count_spellings
from kepipe.linking.training.examples import (
    IGNORED,
    NEGATIVE,
    POSITIVE,
    TrainingExample,
    training_example,
)
from kg.store import Graph
from tests.benchmarks.linking_kinds import link_all, read_texts
from tests.benchmarks.linking_sets import SETS, GoldSet, read_set, stored_graph

BASE = Ranker.from_weights(GENERAL)
"""General weights."""
CONTEXT = [FEATURES.index(name) for name in ("near", "anywhere", "kindred", "related", "beside", "elsewhere")]
AFFINITY = FEATURES.index("affinity")
PROBABLE, IMPROBABLE = 0.7, 0.1
WITH_CONTEXT, WITHOUT_CONTEXT = 0.3, 0.15
"""Least score of a certain link, largest of a wrong one; the same of the context view, in logits."""
Labelled = Sequence[tuple[TrainingExample, Ints]]


def features(example: TrainingExample, affinity: Affinity) -> Floats:
    """The features of an example with an affinity."""
    table = example.features.copy()
    table[:, AFFINITY] = affinity.of(example.groups, example.types)
    return table


def highest(owners: Ints, values: Floats) -> Bools:
    """Which candidates have the largest value of their match."""
    starts = np.flatnonzero(np.diff(owners, prepend=-1))
    return (
        values
        >= np.maximum.reduceat(values, starts)[np.searchsorted(starts, np.arange(len(owners)), "right") - 1]
    )


def two_view_labels(example: TrainingExample, ranker: Ranker) -> Ints:
    """POSITIVE, NEGATIVE or IGNORED for each candidate, without gold links."""
    labels = np.full(len(example.features), IGNORED)
    if not len(labels):
        return labels
    table, matches = features(example, ranker.affinity), example.matches
    scores = np.where(example.allowed, ranker.score(table), -1.0)
    context = table[:, CONTEXT] @ ranker.weights[CONTEXT]
    name = table @ ranker.weights - context
    owners = matches.owners
    preferred = highest(owners, name) & highest(owners, context)
    labels[example.allowed & (scores < IMPROBABLE) & (context < WITHOUT_CONTEXT)] = NEGATIVE
    for match, row, score in decide(matches, scores, ranker.threshold):
        chosen = int(np.flatnonzero((owners == match) & (matches.rows == row))[0])
        if score >= PROBABLE and context[chosen] >= WITH_CONTEXT and preferred[chosen]:
            start, end = matches.starts[match], matches.ends[match]
            touches = (matches.starts[owners] < end) & (matches.ends[owners] > start) & example.allowed
            labels[touches] = np.where(matches.rows[touches] == row, IGNORED, NEGATIVE)
            labels[chosen] = POSITIVE
    return labels


def affinity_of(labelled: Labelled, types: int) -> Affinity:
    """Log odds of types by NER label."""
    label = np.concatenate([labels for _, labels in labelled])
    groups, of_type = (
        np.concatenate([getattr(example, name) for example, _ in labelled]) for name in ("groups", "types")
    )
    used = label != IGNORED
    return Affinity.learn(groups[used], of_type[used], label[used] == POSITIVE, types)


def with_affinity(affinity: Affinity, weight: float) -> Ranker:
    """General weights with an affinity, of this weight."""
    weights = BASE.weights.copy()
    weights[AFFINITY] = weight
    return replace(BASE, weights=weights, affinity=affinity)


def fitted(labelled: Labelled, every: Floats, frozen: Iterable[str]) -> Ranker:
    """A ranker fitted to labels; the bias keeps the mean probability of candidates with features `every` [P, F]."""
    table = np.concatenate([features(example, Affinity())[labels != IGNORED] for example, labels in labelled])
    label = np.concatenate([labels[labels != IGNORED] for _, labels in labelled])
    ranker = fit(table, label == POSITIVE, np.ones(len(label)), Affinity(), PRIOR_MEAN, frozenset(frozen))
    aim, low, high = BASE.score(every).mean(), -20.0, 20.0
    for _ in range(50):
        ranker = replace(ranker, bias=(low + high) / 2, threshold=GENERAL.threshold)
        low, high = (low, ranker.bias) if ranker.score(every).mean() > aim else (ranker.bias, high)
    return ranker


@dataclass
class Kind:
    """The texts of a kind, with a linker that has general weights, and without labels in `examples`."""

    graph: Graph
    gold: GoldSet
    annotations: Sequence[Annotations]
    linker: Linker

    @classmethod
    def read(cls, name: str, folder: Path) -> Kind:
        """The kind of a name of `SETS`; graph and annotations are kept in the folder."""
        graph = stored_graph(SETS[name][0], folder)
        gold = read_set(name, graph)
        file = folder / f"{name.replace(' ', '-')}.npz"
        if (chunk := AnnotatedChunk.open(file)) is None:
            documents = [text.document for text in gold.texts]
            chunk = AnnotatedChunk.of(documents, read_texts(gold)["full"])
            chunk.save(file)
        written = count_spellings(text.document.text for text in gold.texts)
        linker = Linker.build(graph, Casing.count_with(graph.descriptions, written))
        return cls(graph, gold, list(chunk.annotations), linker)

    @cached_property
    def examples(self) -> list[TrainingExample]:
        """The candidates of each text."""
        return [
            training_example(self.linker, text.document.text, annotation, (), text.document.title)
            for text, annotation in zip(self.gold.texts, self.annotations, strict=True)
        ]

    @cached_property
    def every(self) -> Floats:
        """The features of all candidates: [P, F]."""
        return np.concatenate([example.features[example.allowed] for example in self.examples])

    @cached_property
    def labelled(self) -> Labelled:
        """The candidates with labels by two views."""
        return self.labels_by(BASE)

    def labels_by(self, ranker: Ranker) -> Labelled:
        """The candidates with labels by the two views of a ranker."""
        return [(example, two_view_labels(example, ranker)) for example in self.examples]

    def wrong_entities(self) -> tuple[int, int]:
        """Of the links that overlap a mark, how many have its span and another entity, and how many there are."""
        wrong = total = 0
        found = link_all(self.linker, self.gold, self.annotations)
        for text, links in zip(self.gold.texts, found, strict=True):
            marked = {link[:2]: link.row for link in text.links}
            wrong += sum(marked.get(link[:2], -1) not in (-1, NIL, UNKNOWN, link.row) for link in links)
            total += sum(
                any(mark.start < link.end and link.start < mark.end for mark in text.links) for link in links
            )
        return wrong, total

    def counts(self, linker: Linker) -> Ints:
        """Predicted, given and right links of each text: [texts, 3]."""
        found = link_all(linker, self.gold, self.annotations)
        rows = []
        for text, links in zip(self.gold.texts, found, strict=True):
            if self.gold.spans:
                marked, spans = {link[:2] for link in text.links}, {link[:2] for link in links}
                rows.append((len(spans), len(marked), len(marked & spans)))
            else:
                inside = [link for link in links if text.begin <= link.start and link.end <= text.end]
                rows.append(tuple(count(inside, text.links, self.gold.complete)))
        return np.asarray(rows)


def f1(counts: Ints) -> Floats:
    """F1 of predicted, given and right links [..., 3]."""
    predicted, given, right = np.moveaxis(counts, -1, 0)
    return 2 * right / np.maximum(predicted + given, 1)
