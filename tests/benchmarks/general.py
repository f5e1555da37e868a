"""The weights of a linker that has nothing to learn from: `KEPIPE_DATA=… python -m tests.benchmarks.general`.

They are learned from two gold sets of different manners, OKE-2016-train (without what OKE-2015-eval has too) and
wiki-fair-v2-dev, over FB15k-237, each text read three ways (with NER, without, by rules), and printed as
`kepipe/linking/weights.py` has them. How well they do on each set and reading is told for texts left out in turn, and
for what only the other set teaches, beside the weights set by hand. Two sets do not speak for all texts, so that the
weights go only half the way from those set by hand. Thresholds differ little, as is told too: the one that is taken
links Chinese, which nothing here teaches, as much as those set by hand do.
"""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from kepipe.corpus.sources.folder import read_folders
from kepipe.linking.assess import assess, by_linker
from kepipe.linking.casing import Casing
from kepipe.linking.features import FEATURES
from kepipe.linking.goldset import EntityIds, GoldText, read_gold
from kepipe.linking.learn import FOLDS, learn
from kepipe.linking.linker import Linker
from kepipe.linking.policy import Policy
from kepipe.linking.ranker import Ranker
from kepipe.linking.reading import Reading, make_reader
from kepipe.linking.score import Counts, Scores, summarise
from kepipe.linking.teach import teach
from kepipe.linking.weights import EXPECTED, GENERAL, Weights
from kg.problems import Problems
from kg.sources.reading import Choices
from kg.sources.table import FORMATS, read_source
from kg.store import Graph
from kg.writer import GraphWriter

Texts = list[tuple[GoldText, Mapping[str, Reading]]]
ScoresBy = dict[tuple[str, str], Scores]
"""The scores of each set and reading."""
READERS = {
    "with NER": lambda: make_reader("en", "en_core_web_sm"),
    "without NER": lambda: make_reader("en", "en_core_web_sm", ner=False),
    "by rules": lambda: make_reader("en", None),
}
THRESHOLDS = (0.25, 0.3, 0.35, 0.4, 0.45, 0.5)


def import_graph(source: Path, folder: Path) -> Graph:
    """The stored graph of a native folder."""
    writer = GraphWriter(folder)
    read_source(FORMATS["native"], source, writer, Problems(), lambda _: None, Choices())
    return writer.finish()


def taught_by(linker: Linker, texts: Texts) -> Ranker:
    """A ranker for any graph and every reader."""
    lessons = [
        lesson
        for how in READERS
        for lesson in teach(linker, [text for text, _ in texts], [read[how] for _, read in texts])[0]
    ]
    learned = learn(lessons, None, complete=True)
    assert learned is not None
    expected, taught = Ranker.of(EXPECTED), learned.ranker
    return replace(
        expected,
        weights=(expected.weights + taught.weights) / 2,
        bias=(expected.bias + taught.bias) / 2,
    )


def counts(linker: Linker, ranker: Ranker, texts: Texts, how: str, threshold: float | None = None) -> Counts:
    """How many of the texts' links are found in such a reading; pronouns are not linked, nor places joined."""
    predict = by_linker(linker.with_ranker(ranker), Policy(threshold, pronouns=False, join=False))
    gold, readings = [text for text, _ in texts], [read[how] for _, read in texts]
    scores = assess(gold, readings, predict, lambda text, reading: linker.find(text.document.text, reading))
    return Counts(scores.in_graph.predicted, scores.in_graph.given, scores.in_graph.right)


def left_out_in_turn(linker: Linker, sets: Mapping[str, Texts]) -> dict[float, ScoresBy]:
    """By threshold: the texts of each part scored by what the other parts of all sets teach."""
    parts = {name: np.random.default_rng(0).permutation(len(texts)) % FOLDS for name, texts in sets.items()}
    found: dict[tuple[float, str, str], list[Counts]] = defaultdict(list)
    for fold in range(FOLDS):
        kept = [
            sets[name][at] for name, part in parts.items() for at in np.flatnonzero(part != fold).tolist()
        ]
        ranker = taught_by(linker, kept)
        for (name, part), how, threshold in product(parts.items(), READERS, THRESHOLDS):
            asked = [sets[name][at] for at in np.flatnonzero(part == fold).tolist()]
            found[threshold, name, how].append(counts(linker, ranker, asked, how, threshold))
    return {
        threshold: {(name, how): summarise(found[threshold, name, how]) for name in sets for how in READERS}
        for threshold in THRESHOLDS
    }


def prepare(scratch: Path) -> tuple[Linker, dict[str, Texts]]:
    """The untrained linker, whose graph is stored in `scratch`, and the gold sets."""
    data = Path(os.environ["KEPIPE_DATA"])
    graph = import_graph(data / "kg/fb15k-237", scratch)
    ids = EntityIds.read(graph.ids, f"{data}/kg/fb15k-237/entities.jsonl:qid")
    gold = data / "entity-linking"
    held = {text.document.text for text in read_gold(gold / "oke-2015-eval.jsonl", ids)}
    read = {
        "OKE-2016-train": [
            text for text in read_gold(gold / "oke-2016-train.jsonl", ids) if text.document.text not in held
        ],
        "wiki-fair-v2-dev": read_gold(gold / "wiki-fair-v2-dev.jsonl", ids),
    }
    seen = [text.document.text for texts in read.values() for text in texts]
    more = read_folders([data / "corpora/codex-s-extracts.jsonl"], Problems())
    linker = Linker.build(graph, Casing.count([*seen, *(document.text for document in more)]))
    return linker, {name: read_all(texts) for name, texts in read.items()}


def read_all(texts: list[GoldText]) -> Texts:
    """The texts with their readings."""
    written = [text.document.text for text in texts]
    readings = {how: list(make().read(written)) for how, make in READERS.items()}
    return [(text, {how: readings[how][at] for how in READERS}) for at, text in enumerate(texts)]


def report(linker: Linker, sets: Mapping[str, Texts]) -> None:
    """Print the scores."""
    by_threshold = left_out_in_turn(linker, sets)
    mean = {
        each: float(np.mean([scores.f1 for scores in found.values()])) for each, found in by_threshold.items()
    }
    print("mean F1 by threshold:", ", ".join(f"{each:g} {value:.3f}" for each, value in mean.items()))
    by_hand = Ranker.of(EXPECTED)
    by_other = {
        name: taught_by(linker, next(texts for other, texts in sets.items() if other != name))
        for name in sets
    }
    print(
        f"F1: texts left out in turn / by what the other set teaches / by hand, at {GENERAL.threshold:g}, at 0.5"
    )
    for (name, how), scores in by_threshold[GENERAL.threshold].items():
        other = summarise([counts(linker, by_other[name], sets[name], how, GENERAL.threshold)])
        hand = [
            summarise([counts(linker, by_hand, sets[name], how, at)]).f1
            for at in (GENERAL.threshold, EXPECTED.threshold)
        ]
        print(f"{name}, {how}: {scores.f1:.3f} / {other.f1:.3f} / {hand[0]:.3f}, {hand[1]:.3f}")


def general(linker: Linker, sets: Mapping[str, Texts]) -> Weights:
    """What all sets teach of the features of which nothing is expected."""
    ranker = taught_by(linker, [text for texts in sets.values() for text in texts])
    weights = {
        feature: round(weight, 2)
        for feature, weight in zip(FEATURES, ranker.weights.tolist(), strict=True)
        if feature not in EXPECTED.of_feature and round(weight, 2)
    }
    return Weights(weights, round(ranker.bias, 2), GENERAL.threshold)


def main() -> None:
    """Print the table, and the scores."""
    with tempfile.TemporaryDirectory() as scratch:
        linker, sets = prepare(Path(scratch) / "graph")
        report(linker, sets)
        print(general(linker, sets))


if __name__ == "__main__":
    main()
