"""The definition of a task, a row of the table: its data formats, input layout, output, metrics and output formats."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kepipe.data.document import Mention, Span
from kepipe.finetuning.examples import Example, Reader
from kepipe.finetuning.in_words import InWords
from kepipe.finetuning.label_output import ONE_LABEL, best_label
from kepipe.finetuning.metrics import Metric
from kepipe.finetuning.output import Answer, Labels, TaskOutput
from kepipe.finetuning.resources import ResourceKind
from kepipe.finetuning.rows import Reads

Measure = Callable[[Sequence[Example], Sequence[Answer], Labels], dict[str, Metric]]
"""Examples, the answer to each, the labels → the metrics."""
AsRecord = Callable[[Example, Answer, Labels], dict[str, Any]]
"""An example, the answer to it, the labels → the answer as a plain record."""
Baselines = Callable[[Sequence[Example], Sequence[Example]], Mapping[str, Sequence[Answer]]]
"""Training examples, other examples → name → an answer to each of the others that needs no model."""
AsLine = Callable[[Mapping[str, Any]], str]
"""A record → a short text."""


AsBlock = Callable[[Mapping[str, Any]], str]
"""A record → lines of a file format of the field (CoNLL), each terminated."""


@dataclass(frozen=True)
class ParsedMarkup:
    """A text for prediction after its markup is removed: role → character span, and the mentions in the markup.
    `words`: returns the word spans for tagging."""

    text: str
    spans: dict[str, Span]
    mentions: tuple[Mention, ...]
    words: Callable[[], tuple[Span, ...]]


AsExample = Callable[[str, ParsedMarkup], Example | None]
"""An id and a parsed text → an example; None if the markup does not fit the task."""


def plain_text(id: str, parsed: ParsedMarkup) -> Example | None:
    """A text without roles."""
    return None if set(parsed.spans) - {""} else Example(id, parsed.text, mentions=parsed.mentions)


def answer_line(record: Mapping[str, Any]) -> str:
    """The prediction, and its probability if it has one."""
    probability = record.get("probability")
    return str(record["predicted"]) if probability is None else f"{record['predicted']} {probability:.2f}"


@dataclass(frozen=True)
class Task:
    """A row of the table. `output`: labels, head, loss and decoding. `markers`: names of the marker tokens around span
    0, 1, …. `choose_by`: the metric for choosing the best epoch. `asks`: the form of input texts, for `kepipe
    predict`."""

    about: str
    """A description in one phrase without a full stop."""
    read: Reader
    reads: Reads
    measure: Measure
    choose_by: str
    output: TaskOutput = ONE_LABEL
    markers: tuple[str, ...] = ()
    asks: str = "the text as it is"
    example: str = "Warsaw lies on the Vistula."
    """An input text of that form."""
    as_example: AsExample = plain_text
    as_record: AsRecord = best_label
    as_line: AsLine = answer_line
    as_conll: AsBlock | None = None
    """For a task with CoNLL output: the block of a text, with a trailing blank line."""
    metrics: tuple[str, ...] = ()
    """Names of the metrics of `measure`, for code that needs them before it runs; (): not declared."""
    baselines: Baselines | None = None
    """Answers that are scored beside the model's; None: there are none."""
    in_words: InWords | None = None
    """The prompt of the task for a language model; None: there is none."""
    resource: ResourceKind | None = None
    """What its answers depend on besides weights; None: nothing."""
    in_windows: bool = False
    """Whether long texts are read in windows by default, instead of being truncated."""
    of_linked: bool = False
    """Whether the links of a linked text are what it learns: a stage `link` can then give its data."""


def with_roles(*roles: str) -> AsExample:
    """A parser of examples whose spans are those of `roles`, in order; a single role need not be named in the
    markup."""

    def as_example(id: str, parsed: ParsedMarkup) -> Example | None:
        spans = parsed.spans
        if len(roles) == 1 and set(spans) == {""}:
            spans = {roles[0]: spans[""]}
        if set(spans) != set(roles):
            return None
        return Example(id, parsed.text, tuple(spans[role] for role in roles), mentions=parsed.mentions)

    return as_example
