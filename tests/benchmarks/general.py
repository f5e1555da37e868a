"""The prior mean of a ranker's weights in training: `KEPIPE_DATA=… python -m tests.benchmarks.general`.

The weights set by hand, and for the other features half of the weights learned from wiki80: sentences of Wikipedia with
two annotated names each, in the graph FB15k-237 or not. Each sentence is annotated in three ways: by spaCy, by spaCy
without NER, by rules. Features are not corrected by `features/full_names.py`: weights learned from corrected ones give
a lower mean F1 over the kinds of `linking_kinds`. The weights are printed as in `kepipe/linking/ranking/weights.py`.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from unittest import mock

from kepipe.linking.decision.marks import MARKS_BY_NAME
from kepipe.linking.evaluation.goldset import GoldText
from kepipe.linking.features.describe import FEATURES
from kepipe.linking.linker import Linker
from kepipe.linking.ranking.ranker import Ranker
from kepipe.linking.ranking.weights import HAND_SET, PRIOR_MEAN, Weights
from kepipe.linking.text.annotations import Annotations
from kepipe.linking.text.annotators import make_annotator
from kepipe.linking.text.casing import Casing
from kepipe.linking.training.examples import TrainingExample
from kepipe.linking.training.learn import learn
from kepipe.linking.training.training_data import training_data
from tests.benchmarks.linking_sets import data, fb_ids, read_sentences, stored_graph

STEP = 4
"""Every fourth sentence is used, from which as much is learned as from all."""


def annotation_variants(texts: Sequence[GoldText]) -> Iterator[list[Annotations]]:
    """The annotations of the texts, by each of the three ways."""
    contents = [text.document.text for text in texts]
    full = list(make_annotator("en", "en_core_web_sm").annotate(contents))
    yield full
    yield [replace(annotation, names=None) for annotation in full]
    yield list(make_annotator("en", None).annotate(contents))


def training_examples(scratch: Path) -> list[TrainingExample]:
    """The sentences as examples, with uncorrected features; the graph is stored in `scratch`."""
    graph = stored_graph("FB15k-237", scratch)
    texts = read_sentences(data() / "relations/wiki80-64", fb_ids(graph))[::STEP]
    casing = Casing.count_with(graph.descriptions)
    linker = Linker.build(graph, casing)
    with mock.patch("kepipe.linking.features.describe.correct_full_names"):
        return [
            example
            for annotations in annotation_variants(texts)
            for example in training_data(linker, texts, annotations, MARKS_BY_NAME["everything"]).examples
        ]


def prior_mean(scratch: Path) -> Weights:
    """Half of the learned weights: many names in the sentences are not annotated, and all are from one source."""
    learned = learn(training_examples(scratch), None, complete=False, start=HAND_SET)
    assert learned is not None
    initial, trained = Ranker.from_weights(HAND_SET), learned.ranker
    weights, bias = (initial.weights + trained.weights) / 2, (initial.bias + trained.bias) / 2
    by_feature = zip(FEATURES, weights.tolist(), strict=True)
    of_feature = {
        name: round(weight, 2)
        for name, weight in by_feature
        if name not in HAND_SET.of_feature and round(weight, 2)
    }
    return Weights(of_feature, round(bias, 2), PRIOR_MEAN.threshold)


def main() -> None:
    """Print the weights."""
    with tempfile.TemporaryDirectory() as scratch:
        print("PRIOR_MEAN", prior_mean(Path(scratch)))


if __name__ == "__main__":
    main()
