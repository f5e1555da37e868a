"""The weights of a linker that has nothing to learn from: `KEPIPE_DATA=… python -m tests.benchmarks.general`.

They are learned over FB15k-237 in two steps, of features only that have no weight by hand, each text read three ways
(with NER, without, by rules), and printed as `kepipe/linking/ranking/weights.py` has them:

`EXPECTED`  half of what wiki80's sentences from Wikipedia teach, in each of which two names are marked, be they in the
            graph or not;
`GENERAL`   from there on, by two gold sets of different manners, OKE-2016-train (without what OKE-2015-eval has too)
            and wiki-fair-v2-dev.

How well they do on each gold set and reading is told for texts left out in turn, for what the sentences and only the
other set teach, for what the sentences alone teach, and for the weights set by hand.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np

from kepipe.data.document import Document
from kepipe.data.sources.folder import read_folders
from kepipe.finetuning import relations
from kepipe.linking.decision.policy import Policy
from kepipe.linking.evaluation.assess import assess, by_linker
from kepipe.linking.evaluation.goldset import EntityIds, GoldText, read_gold
from kepipe.linking.evaluation.score import Counts, Scores, summarise
from kepipe.linking.features.describe import FEATURES
from kepipe.linking.kb.links import Link
from kepipe.linking.linker import Linker
from kepipe.linking.ranking.ranker import Ranker
from kepipe.linking.ranking.weights import BY_HAND, EXPECTED, GENERAL, Weights
from kepipe.linking.text.annotations import Annotations
from kepipe.linking.text.annotators import make_annotator
from kepipe.linking.text.casing import Casing
from kepipe.linking.training.examples import TrainingExample
from kepipe.linking.training.learn import FOLDS, learn
from kepipe.linking.training.training_data import training_data
from kg.problems import Problems
from kg.sources.reading import Choices
from kg.sources.table import FORMATS, read_source
from kg.store import Graph
from kg.writer import GraphWriter

Texts = list[tuple[GoldText, Mapping[str, Annotations]]]
ScoresBy = dict[tuple[str, str], Scores]
"""The scores of each set and reading."""
READERS = {
    "with NER": lambda: make_annotator("en", "en_core_web_sm"),
    "without NER": lambda: make_annotator("en", "en_core_web_sm", ner=False),
    "by rules": lambda: make_annotator("en", None),
}
THRESHOLDS = (0.25, 0.3, 0.35, 0.4, 0.45, 0.5)


def import_graph(source: Path, folder: Path) -> Graph:
    """The stored graph of a native folder."""
    writer = GraphWriter(folder)
    read_source(FORMATS["native"], source, writer, Problems(), lambda _: None, Choices())
    return writer.finish()


def lessons_of(linker: Linker, texts: Texts) -> list[TrainingExample]:
    """The texts as lessons, in each of their readings."""
    return [
        example
        for how in READERS
        for example in training_data(linker, [text for text, _ in texts], [read[how] for _, read in texts])[0]
    ]


def taught_by(linker: Linker, texts: Texts) -> Ranker:
    """What gold sets teach one who knows what is to be expected, for any graph and every reader."""
    learned = learn(lessons_of(linker, texts), None, complete=True, start=EXPECTED)
    assert learned is not None
    return learned.ranker


def counts(linker: Linker, ranker: Ranker, texts: Texts, how: str, threshold: float | None = None) -> Counts:
    """How many of the texts' links are found in such a reading; pronouns are not linked, nor places joined."""
    predict = by_linker(linker.with_ranker(ranker), Policy(threshold, pronouns=False, join=False))
    gold, annotations = [text for text, _ in texts], [read[how] for _, read in texts]
    scores = assess(
        gold, annotations, predict, lambda text, annotation: linker.find(text.document.text, annotation)
    )
    return Counts(scores.in_graph.predicted, scores.in_graph.given, scores.in_graph.right)


def found_among_candidates(linker: Linker, texts: Texts) -> float:
    """For which share of the marked names that the graph has the right entity is a candidate."""
    found = total = 0
    for text, _ in texts:
        matches = linker.gazetteer.find(text.document.text)
        starts, ends = matches.starts[matches.owners].tolist(), matches.ends[matches.owners].tolist()
        candidates = set(zip(starts, ends, matches.rows.tolist(), strict=True))
        meant = [link for link in text.links if link.row >= 0]
        found, total = found + len(candidates.intersection(meant)), total + len(meant)
    return found / total


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


@dataclass(frozen=True)
class Material:
    """The untrained linker over FB15k-237, wiki80's sentences, and the gold sets."""

    linker: Linker
    sentences: Texts
    sets: Mapping[str, Texts]


def prepare(scratch: Path) -> Material:
    """Read everything; the graph is stored in `scratch`."""
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
    sentences = read_sentences(data / "relations/wiki80-64", ids)
    return Material(linker, read_all(sentences), {name: read_all(texts) for name, texts in read.items()})


def read_sentences(folder: Path, ids: EntityIds) -> list[GoldText]:
    """The sentences of a set of relations, with the two names that are marked in each."""
    texts = []
    for file in (folder / "train.jsonl", folder / "dev.jsonl"):
        for example in relations.read(file, Problems()):
            text, places = without_odd_blanks(example.text)
            links = tuple(
                Link(places[mention.start], places[mention.end], ids.row(mention.entity))
                for mention in example.mentions
            )
            texts.append(GoldText(Document(example.id, text), 0, len(text), links, ("",) * len(links)))
    return texts


_BEFORE_OR_AFTER = re.compile(r""" (?=[,.;:!?)\]%]|'s\b|n't\b)|(?<=[(\[]) """)
_QUOTED = re.compile(r'"( )[^"]*( )"')
"""Blanks by which words were set apart from the marks around them."""


def without_odd_blanks(text: str) -> tuple[str, list[int]]:
    """The text as it is printed, and where in that each of its characters and its end went."""
    dropped = {found.start() for found in _BEFORE_OR_AFTER.finditer(text)}
    dropped |= {found.start(group) for found in _QUOTED.finditer(text) for group in (1, 2)}
    kept = [place not in dropped for place in range(len(text))]
    places = np.concatenate(([0], np.cumsum(kept))).tolist()
    return "".join(letter for letter, there in zip(text, kept, strict=True) if there), places


def read_all(texts: list[GoldText]) -> Texts:
    """The texts with their readings."""
    written = [text.document.text for text in texts]
    annotations = {how: list(make().annotate(written)) for how, make in READERS.items()}
    return [(text, {how: annotations[how][at] for how in READERS}) for at, text in enumerate(texts)]


def report(material: Material) -> None:
    """Print the scores."""
    linker, sets = material.linker, material.sets
    for name, texts in {"wiki80": material.sentences, **sets}.items():
        print(
            f"{name}: the right entity is a candidate for {found_among_candidates(linker, texts):.1%} of the names"
        )
    by_threshold = left_out_in_turn(linker, sets)
    mean = {
        each: float(np.mean([scores.f1 for scores in found.values()])) for each, found in by_threshold.items()
    }
    print("mean F1 by threshold:", ", ".join(f"{each:g} {value:.3f}" for each, value in mean.items()))
    by_other = {
        name: taught_by(linker, next(texts for other, texts in sets.items() if other != name))
        for name in sets
    }
    at = GENERAL.threshold
    print(
        f"F1 at {at:g}: texts left out in turn / by the sentences and the other set / by the sentences / by hand"
    )
    for (name, how), scores in by_threshold[at].items():
        others = (
            summarise([counts(linker, ranker, sets[name], how, at)]).f1
            for ranker in (by_other[name], Ranker.of(EXPECTED), Ranker.of(BY_HAND))
        )
        print(f"{name}, {how}: {scores.f1:.3f} / {' / '.join(f'{f1:.3f}' for f1 in others)}")


def expected(material: Material) -> Weights:
    """Half of what the sentences teach: much in them is a name and not marked, and they are of one kind."""
    learned = learn(lessons_of(material.linker, material.sentences), None, complete=False, start=BY_HAND)
    assert learned is not None
    first, taught = Ranker.of(BY_HAND), learned.ranker
    half = replace(taught, weights=(first.weights + taught.weights) / 2, bias=(first.bias + taught.bias) / 2)
    return learned_weights(half, EXPECTED.threshold)


def general(material: Material) -> Weights:
    """What all gold sets teach after that."""
    texts = [text for texts in material.sets.values() for text in texts]
    return learned_weights(taught_by(material.linker, texts), GENERAL.threshold)


def learned_weights(ranker: Ranker, threshold: float) -> Weights:
    """The weights of the features that have none by hand, rounded."""
    weights = {
        feature: round(weight, 2)
        for feature, weight in zip(FEATURES, ranker.weights.tolist(), strict=True)
        if feature not in BY_HAND.of_feature and round(weight, 2)
    }
    return Weights(weights, round(ranker.bias, 2), threshold)


def main() -> None:
    """Print both tables, and the scores."""
    with tempfile.TemporaryDirectory() as scratch:
        material = prepare(Path(scratch) / "graph")
        for name, learned in (("EXPECTED", expected(material)), ("GENERAL", general(material))):
            print(name, learned)
        report(material)


if __name__ == "__main__":
    main()
