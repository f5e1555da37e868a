"""Gold texts → training examples, and whether their places are marked together with what they lie in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kepipe.linking.decision.joining import marks_joined, split_joined
from kepipe.linking.evaluation.goldset import GoldText
from kepipe.linking.linker import Linker
from kepipe.linking.text.annotations import Annotations
from kepipe.linking.training.examples import TrainingExample, training_example


def training_data(
    linker: Linker, texts: Sequence[GoldText], annotations: Iterable[Annotations]
) -> tuple[list[TrainingExample], bool]:
    """The examples, and whether links like "Lille, France" are one in these texts; they are learned as two."""
    known = linker.knowledge, linker.gazetteer.lexicon
    joined = marks_joined(((text.document.text, text.links) for text in texts), *known)
    examples = [
        training_example(
            linker,
            text.document.text,
            annotation,
            split_joined(text.document.text, text.links, *known) if joined else text.links,
            text.document.title,
            (text.begin, text.end),
        )
        for text, annotation in zip(texts, annotations, strict=True)
    ]
    return examples, joined
