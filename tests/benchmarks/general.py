"""The weights that learning starts from: `KEPIPE_DATA=… python -m tests.benchmarks.general`.

They are those set by hand, and of the other features half of what wiki80's sentences from Wikipedia teach over
FB15k-237, in each of which two names are marked, be they in the graph or not. Each sentence is read three ways:
with NER, without, by rules. They are printed as `kepipe/linking/ranking/weights.py` has them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

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

EVERY = 4
"""Of the sentences every so manieth teaches, which is as much as all of them do."""


def readings(texts: Sequence[GoldText]) -> Iterator[list[Annotations]]:
    """What each way of reading sees in the texts."""
    written = [text.document.text for text in texts]
    full = list(make_annotator("en", "en_core_web_sm").annotate(written))
    yield full
    yield [replace(annotation, names=None) for annotation in full]
    yield list(make_annotator("en", None).annotate(written))


def lessons(scratch: Path) -> list[TrainingExample]:
    """The sentences as examples; the graph is stored in `scratch`."""
    graph = stored_graph("FB15k-237", scratch)
    texts = read_sentences(data() / "relations/wiki80-64", fb_ids(graph))[::EVERY]
    casing = Casing.count_with(graph.descriptions)
    linker = Linker.build(graph, casing)
    return [
        example
        for read in readings(texts)
        for example in training_data(linker, texts, read, MARKS_BY_NAME["everything"]).examples
    ]


def expected(scratch: Path) -> Weights:
    """Half of what the sentences teach: much in them is a name and not marked, and they are of one kind."""
    learned = learn(lessons(scratch), None, complete=False, start=HAND_SET)
    assert learned is not None
    first, taught = Ranker.from_weights(HAND_SET), learned.ranker
    weights, bias = (first.weights + taught.weights) / 2, (first.bias + taught.bias) / 2
    named = zip(FEATURES, weights.tolist(), strict=True)
    new = {
        name: round(weight, 2)
        for name, weight in named
        if name not in HAND_SET.of_feature and round(weight, 2)
    }
    return Weights(new, round(bias, 2), PRIOR_MEAN.threshold)


def main() -> None:
    """Print the weights."""
    with tempfile.TemporaryDirectory() as scratch:
        print("PRIOR_MEAN", expected(Path(scratch)))


if __name__ == "__main__":
    main()
