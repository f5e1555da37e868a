"""Whether a linker learns from unlabelled texts, and from coherence: `KEPIPE_DATA=… python -m
tests.benchmarks.linking_self_training [FOLDER]`; graphs and annotations are kept in FOLDER, if given.

The texts of each kind of `linking_kinds` are the unlabelled texts of a linker with general weights; their gold links
are used for F1 alone, except in the last line of the first table. Candidates are labelled by
`two_views`.

Printed are gains in F1 with standard errors (paired bootstrap over texts). Arms are chosen with one kind left out in
turn, by the largest mean plus worst gain over the others; "nothing" is among them, with gain 0.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kepipe.arrays import Floats, Ints
from kepipe.linking.candidates.matches import Matches
from kepipe.linking.decision.decide import decide
from kepipe.linking.features.surroundings import MATCH_FEATURES
from kepipe.linking.linker import Linker
from kepipe.linking.ranking.ranker import Ranker
from kepipe.linking.text.batch import TextBatch
from kepipe.linking.training.examples import (
    IGNORED,
    NEGATIVE,
    POSITIVE,
    label_candidates,
)
from tests.benchmarks.hidden_names import Places, hidden_names
from tests.benchmarks.linking_evidence import (
    Evidence,
    WithEvidence,
    kinds_by_words,
    log_odds_of_kinds,
    neighbours,
    pagerank,
    second_pass,
)
from tests.benchmarks.linking_sets import SETS
from tests.benchmarks.two_views import BASE, Kind, Labelled, affinity_of, f1, fitted, with_affinity

FOLDS = 5


def types_of(kind: Kind) -> int:
    """The number of types."""
    return len(kind.linker.knowledge.type_names)


def by_types(weight: float) -> Callable[[Kind], Ranker]:
    """Affinity from certain links."""
    return lambda kind: with_affinity(affinity_of(kind.labelled, types_of(kind)), weight)


def second_round(kind: Kind) -> Ranker:
    """Affinity from the links that are certain for a ranker with affinity."""
    labelled = kind.labels_by(by_types(0.25)(kind))
    return with_affinity(affinity_of(labelled, types_of(kind)), 0.25)


def from_hidden_names(kind: Kind) -> Ranker:
    """Weights of candidate features from hidden names."""
    examples = []
    texts = zip(kind.gold.texts, kind.annotations, kind.labelled, strict=True)
    for number, (text, annotation, (example, labels)) in enumerate(texts):
        certain: dict[int, list[tuple[int, int]]] = {}
        for place in np.flatnonzero(labels == POSITIVE).tolist():
            match = example.matches.owners[place]
            span = int(example.matches.starts[match]), int(example.matches.ends[match])
            certain.setdefault(int(example.matches.rows[place]), []).append(span)
        places: dict[int, Places] = {**certain}
        examples += hidden_names(kind.linker, kind.graph, text.document.text, annotation, places, seed=number)
    return fitted(examples, kind.every, (*MATCH_FEATURES, "bias"))


def threshold_by_expectation(kind: Kind) -> Ranker:
    """The threshold with the largest F1 that the ranker's own probabilities let expect on the texts."""
    scores = [np.where(example.allowed, BASE.score(example.features), 0.0) for example in kind.examples]
    given = sum(
        np.minimum(np.add.reduceat(score, example.matches.bounds[:-1]), 1.0).sum()
        for example, score in zip(kind.examples, scores, strict=True)
        if len(score)
    )
    expected = {}
    for threshold in np.arange(0.1, 0.9, 0.05).round(2).tolist():
        links = [
            score
            for example, each in zip(kind.examples, scores, strict=True)
            for *_, score in decide(example.matches, each, threshold)
        ]
        expected[threshold] = 2 * sum(links) / (len(links) + given)
    return replace(BASE, threshold=max(expected, key=lambda threshold: expected[threshold]))


def bias_by_coverage(kind: Kind) -> Ranker:
    """A higher bias, the more of NER's names of several words are names of the graph."""
    names = [
        text.document.text[name.start : name.end]
        for text, annotation in zip(kind.gold.texts, kind.annotations, strict=True)
        for name in annotation.names or ()
        if name.label in ("PERSON", "ORG", "GPE")
    ]
    known = [bool(kind.linker.gazetteer.lexicon.candidates(name)) for name in names if " " in name]
    odds = (sum(known) + 1) / (len(known) - sum(known) + 1)
    return replace(BASE, bias=BASE.bias + 0.5 * float(np.log(odds)))


def on_other_half(learn: Callable[[Kind, Labelled], Ranker]) -> Callable[[Kind], Ints]:
    """Links of each half of the texts by a ranker that learned from the other half: counts [texts, 3]."""

    def counts(kind: Kind) -> Ints:
        halves = [
            kind.counts(kind.linker.with_ranker(learn(kind, kind.labelled[1 - half :: 2]))) for half in (0, 1)
        ]
        return np.where((np.arange(len(halves[0])) % 2 == 0)[:, None], *halves)

    return counts


def with_gold(kind: Kind, half: Labelled) -> Ranker:
    """Affinity from gold links, for comparison."""
    numbers = {id(example): number for number, example in enumerate(kind.examples)}
    if kind.gold.spans:  # gold links without entities
        return BASE
    labelled = []
    for example, _ in half:
        marked = replace(example, given=kind.gold.texts[numbers[id(example)]].links)
        labels = label_candidates(marked, kind.gold.complete)
        labelled.append(
            (example, np.where(labels == POSITIVE, POSITIVE, np.where(labels == IGNORED, IGNORED, NEGATIVE)))
        )
    return with_affinity(affinity_of(labelled, types_of(kind)), 0.5)


def seen_elsewhere(kind: Kind) -> Evidence:
    """How many other texts name the entity for certain, in logarithms."""
    own = {
        text.document.text: {*example.matches.rows[labels == POSITIVE].tolist()}
        for text, (example, labels) in zip(kind.gold.texts, kind.labelled, strict=True)
    }
    totals = Counter(row for rows in own.values() for row in rows)

    def evidence(_: Linker, batch: TextBatch, matches: Matches) -> Floats:
        texts = batch.number(matches.starts)[matches.owners].tolist()
        rows = zip(matches.rows.tolist(), texts, strict=True)
        others = [totals[row] - (row in own[batch.texts[text]]) for row, text in rows]
        return 0.2 * np.log1p(others)

    return evidence


def words_of_kinds(kind: Kind) -> Evidence:
    """Kinds by words that are learned from certain links in other texts."""
    kinds = kind.linker.knowledge.kinds
    mentions = [
        [
            (text.document.text, int(matches.starts[owner]), int(matches.ends[owner]), int(kinds[row]))
            for owner, row in zip(
                matches.owners[labels == POSITIVE], matches.rows[labels == POSITIVE], strict=True
            )
        ]
        for text, (example, labels) in zip(kind.gold.texts, kind.labelled, strict=True)
        for matches in [example.matches]
    ]
    fold_of = {text.document.text: number % FOLDS for number, text in enumerate(kind.gold.texts)}
    odds = [
        log_odds_of_kinds(
            [each for number, group in enumerate(mentions) if number % FOLDS != fold for each in group]
        )
        for fold in range(FOLDS)
    ]
    return kinds_by_words(0.3, lambda text: odds[fold_of[text]])


def ranked(make: Callable[[Kind], Ranker]) -> Callable[[Kind], Ints]:
    """The links with another ranker."""
    return lambda kind: kind.counts(kind.linker.with_ranker(make(kind)))


def evident(make: Callable[[Kind], Evidence]) -> Callable[[Kind], Ints]:
    """The links with further evidence."""
    return lambda kind: kind.counts(WithEvidence.of(kind.linker, make(kind)))


ARMS: Mapping[str, Callable[[Kind], Ints]] = {
    "types, weight 0.25": ranked(by_types(0.25)),
    "types, weight 0.5": ranked(by_types(0.5)),
    "types, second round": ranked(second_round),
    "types, other half": on_other_half(
        lambda kind, half: with_affinity(affinity_of(half, types_of(kind)), 0.25)
    ),
    "all weights": ranked(lambda kind: fitted(kind.labelled, kind.every, ())),
    "hidden names": ranked(from_hidden_names),
    "expected F1": ranked(threshold_by_expectation),
    "coverage": ranked(bias_by_coverage),
    "other texts": evident(seen_elsewhere),
    "PageRank": evident(lambda _: pagerank(0.3)),
    "second pass": evident(lambda _: second_pass),
    "relative neighbours": evident(lambda _: neighbours(0.5)),
    "kinds by words": evident(words_of_kinds),
    "types of gold, other half": on_other_half(with_gold),
}
"""What is learned, or added to the logits → counts of links."""
GOLD = "types of gold, other half"


def gain(before: Ints, after: Ints) -> tuple[float, float]:
    """The gain in F1 and its standard error, over 1,000 draws of texts."""
    drawn = np.random.default_rng(0).integers(len(before), size=(1000, len(before)))
    each = f1(after[drawn].sum(axis=1)) - f1(before[drawn].sum(axis=1))
    return float(f1(after.sum(axis=0)) - f1(before.sum(axis=0))), float(each.std())


def left_out(table: Mapping[str, Sequence[float]], names: Sequence[str]) -> None:
    """Print which arm the other kinds choose for each, and its gain."""
    arms = {"nothing": [0.0] * len(names), **{arm: row for arm, row in table.items() if arm != GOLD}}
    gains = np.asarray(list(arms.values()))
    chosen = []
    for place, name in enumerate(names):
        others = np.delete(gains, place, axis=1)
        best = int(np.argmax(others.mean(axis=1) + others.min(axis=1)))
        chosen.append(gains[best, place])
        print(f"without {name}: {list(arms)[best]}, {chosen[-1]:+.3f}")
    print(f"one kind left out: mean {np.mean(chosen):+.4f}, worst {min(chosen):+.4f}")


def main(folder: Path) -> None:
    """Print the gains of all arms, a line each, the milliseconds per 1,000 words, and what is chosen."""
    names = [name for name in SETS if "Chinese" not in name and name != "oke"]
    gains: dict[str, dict[str, tuple[float, float]]] = {arm: {} for arm in ARMS}
    seconds, words = Counter[str](), 0
    for name in names:
        kind = Kind.read(name, folder)
        certain = np.concatenate([labels for _, labels in kind.labelled])
        kind.counts(kind.linker)  # fills the caches
        start = time.process_time()
        before = kind.counts(kind.linker)
        seconds["nothing"] += time.process_time() - start
        words += sum(len(text.document.text.split()) for text in kind.gold.texts)
        print(
            f"{name}: F1 {f1(before.sum(axis=0)):.3f}, {(certain == POSITIVE).sum()} certain links,",
            f"{(certain == NEGATIVE).sum()} wrong candidates;",
            "{} of {} links at marks have the wrong entity".format(*kind.wrong_entities()),
            flush=True,
        )
        for arm, counts in ARMS.items():
            start = time.process_time()
            gains[arm][name] = gain(before, counts(kind))
            seconds[arm] += time.process_time() - start
    print("| |", " | ".join(names), "| mean | worst |")
    for arm, row in gains.items():
        values = [value for value, _ in row.values()]
        error = np.sqrt(np.sum([each**2 for _, each in row.values()])) / len(row)
        cells = " | ".join(f"{value:+.3f} ± {each:.3f}" for value, each in row.values())
        print(f"| {arm} | {cells} | {np.mean(values):+.4f} ± {error:.4f} | {min(values):+.3f} |")
    left_out({arm: [value for value, _ in row.values()] for arm, row in gains.items()}, names)
    print(
        "milliseconds per 1,000 words, learning included:",
        ", ".join(f"{arm} {1e6 * spent / words:.1f}" for arm, spent in seconds.items()),
    )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as scratch:
            main(Path(scratch))
