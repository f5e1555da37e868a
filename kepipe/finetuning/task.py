"""What a task is: a row of the table. It owns how data is read, rows are laid out, answers are measured and told."""

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
from kepipe.finetuning.rows import Reads

Measure = Callable[[Sequence[Example], Sequence[Answer], Labels], dict[str, Metric]]
"""Examples, the answer to each, the labels → the metrics."""
AsRecord = Callable[[Example, Answer, Labels], dict[str, Any]]
"""An example, the answer to it, the labels → what is answered, as plain data."""
AsLine = Callable[[Mapping[str, Any]], str]
"""What is answered, as plain data → the same in a few words."""


AsBlock = Callable[[Mapping[str, Any]], str]
"""What is answered, as plain data → the same as lines of a file in the field's own format, each ended."""


@dataclass(frozen=True)
class ParsedMarkup:
    """A text as a user writes it for a prediction, its markup taken out: the characters of each role, and the entities
    that the markup names. `words`: what gets a label each in tagging."""

    text: str
    spans: dict[str, Span]
    mentions: tuple[Mention, ...]
    words: Callable[[], tuple[Span, ...]]


AsExample = Callable[[str, ParsedMarkup], Example | None]
"""An id and a text with markup → the example that it asks; None where it is not written as the task wants it."""


def plain_text(id: str, parsed: ParsedMarkup) -> Example | None:
    """A text without roles."""
    return None if set(parsed.spans) - {""} else Example(id, parsed.text, mentions=parsed.mentions)


def answer_line(record: Mapping[str, Any]) -> str:
    """What is answered, and its probability where it has one."""
    probability = record.get("probability")
    return str(record["predicted"]) if probability is None else f"{record['predicted']} {probability:.2f}"


@dataclass(frozen=True)
class Task:
    """A row of the table. `output`: what is learned and answered. `markers`: names of the special tokens around span 0,
    1, …. `choose_by`: the metric that picks the best epoch. `asks`: how a text to be answered is written, for `kepipe
    predict`."""

    about: str
    """What is asked, in one sentence without a full stop."""
    read: Reader
    reads: Reads
    measure: Measure
    choose_by: str
    output: TaskOutput = ONE_LABEL
    markers: tuple[str, ...] = ()
    asks: str = "the text as it is"
    as_example: AsExample = plain_text
    as_record: AsRecord = best_label
    as_line: AsLine = answer_line
    as_conll: AsBlock | None = None
    """Of a task whose answers are written as CoNLL's columns: a text's, with a blank line after it."""
    metrics: tuple[str, ...] = ()
    """Names of what `measure` gives, for those who ask before it runs; (): not told."""
    in_words: InWords | None = None
    """How it is put to a language model in words; None: it is not."""


def with_roles(*roles: str) -> AsExample:
    """An example whose spans are those of these roles, in their order; one role need not be named."""

    def as_example(id: str, parsed: ParsedMarkup) -> Example | None:
        spans = parsed.spans
        if len(roles) == 1 and set(spans) == {""}:
            spans = {roles[0]: spans[""]}
        if set(spans) != set(roles):
            return None
        return Example(id, parsed.text, tuple(spans[role] for role in roles), mentions=parsed.mentions)

    return as_example
