"""What a task is: a row of the table. It owns how data is read, rows are laid out, answers are measured and told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from kepipe.arrays import Floats, Ints
from kepipe.data.document import Mention, Span
from kepipe.finetuning.examples import Example, Reader
from kepipe.finetuning.metrics import Metric

Reads = Literal["spans", "row", "words"]
"""Which tokens the head reads: those of the spans asked about, the one of the row, or every word's."""
LabelKind = Literal["one", "several"]
"""One label of each case (softmax), or several (a sigmoid for each label)."""
Labels = Sequence[str]
Measure = Callable[[Sequence[Example], Sequence[Floats], Labels], dict[str, Metric]]
"""Examples, the probabilities [cases, L] of each, the labels → the metrics."""
AsRecord = Callable[[Example, Floats, Labels], dict[str, Any]]
"""An example, the probabilities [cases, L] of its cases, the labels → what is answered, as plain data."""


@dataclass(frozen=True)
class MarkedText:
    """A text as a user writes it for a prediction, its marks taken out: the characters marked with each role, and the
    entities that marks name. `words`: what gets a label each in tagging."""

    text: str
    spans: dict[str, Span]
    mentions: tuple[Mention, ...]
    words: Callable[[], tuple[Span, ...]]


AsExample = Callable[[str, MarkedText], Example | None]
"""An id and a marked text → the example that it asks; None where it is not written as the task wants it."""


def best_label(_example: Example, probabilities_NL: Floats, labels: Labels) -> dict[str, Any]:
    """The likeliest label of the one case, and its probability."""
    best = int(probabilities_NL[0].argmax())
    return {"predicted": labels[best], "probability": rounded(probabilities_NL[0, best])}


def plain_text(id: str, marked: MarkedText) -> Example | None:
    """A text without roles."""
    return None if set(marked.spans) - {""} else Example(id, marked.text, mentions=marked.mentions)


@dataclass(frozen=True)
class Task:
    """A row of the table. `marks`: names of the special tokens around span 0, 1, …. `choose_by`: the metric that picks
    the best epoch. `asks`: how a text to be answered is written, for `kepipe predict`."""

    about: str
    """What is asked, in one sentence without a full stop."""
    read: Reader
    reads: Reads
    measure: Measure
    choose_by: str
    kind: LabelKind = "one"
    marks: tuple[str, ...] = ()
    asks: str = "the text as it is"
    as_example: AsExample = plain_text
    as_record: AsRecord = best_label


def with_roles(*roles: str) -> AsExample:
    """An example whose spans are those marked with these roles, in their order; one role need not be named."""

    def as_example(id: str, marked: MarkedText) -> Example | None:
        spans = marked.spans
        if len(roles) == 1 and set(spans) == {""}:
            spans = {roles[0]: spans[""]}
        if set(spans) != set(roles):
            return None
        return Example(id, marked.text, tuple(spans[role] for role in roles), mentions=marked.mentions)

    return as_example


def likeliest(answers: Sequence[Floats]) -> Ints:
    """The likeliest label of each example that has one case, as its number."""
    rows: Ints = np.concatenate(answers).argmax(axis=1)
    return rows


def label_numbers(examples: Sequence[Example], labels: Labels) -> Ints:
    """The label of each example as its number among the labels."""
    numbers = {label: number for number, label in enumerate(labels)}
    return np.array([numbers[example.labels[0]] for example in examples], np.int64)


def rounded(probability: Any) -> float:
    """A probability as it is told."""
    return round(float(probability), 6)
