"""Gold texts → training examples, and which kinds of mentions the texts mark."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from kepipe.linking.decision.joining import marks_joined, split_joined
from kepipe.linking.decision.marks import Marks, infer_marks
from kepipe.linking.evaluation.goldset import GoldText
from kepipe.linking.linker import Linker
from kepipe.linking.text.annotations import Annotations
from kepipe.linking.text.batch import TextBatch
from kepipe.linking.training.examples import TrainingExample, training_example


@dataclass(frozen=True)
class TrainingData:
    """The examples, in which a link "Lille, France" is split into two, and what counts as a mention in them."""

    examples: Sequence[TrainingExample]
    marks: Marks


def training_data(
    linker: Linker,
    texts: Sequence[GoldText],
    annotations: Iterable[Annotations],
    marks: Marks | None = None,
) -> TrainingData:
    """The training examples of gold texts, without candidates of a dense view; `marks`: what counts as a mention, None:
    inferred from the texts."""
    linker = replace(linker, dense=None)
    known = linker.knowledge, linker.gazetteer.lexicon
    annotations = list(annotations)
    joined = marks_joined(((text.document.text, text.links) for text in texts), *known)
    if marks is None:
        batches = (
            (TextBatch((text.document.text,), ("",), (annotation,)), text)
            for text, annotation in zip(texts, annotations, strict=True)
        )
        marks = infer_marks(
            [
                (batch, linker.find(text.document.text, annotation), (text.begin, text.end), text.links)
                for (batch, text), annotation in zip(batches, annotations, strict=True)
            ],
            linker.knowledge,
        )
        marks = replace(marks, joined=joined or None)
    linker_with_marks = linker.with_ranker(linker.ranker, marks)
    examples = [
        training_example(
            linker_with_marks,
            text.document.text,
            annotation,
            split_joined(text.document.text, text.links, *known) if joined else text.links,
            text.document.title,
            (text.begin, text.end),
        )
        for text, annotation in zip(texts, annotations, strict=True)
    ]
    return TrainingData(examples, marks)
