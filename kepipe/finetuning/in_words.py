"""The prompt of a task for a language model (Brown et al. 2020, §2.4), part of the task's row in the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kepipe.finetuning.examples import Example
from kepipe.finetuning.metrics import Metric

Word = Callable[[str], str]
"""A label, or a type of spans → its word in the prompt."""


@dataclass(frozen=True)
class GeneratedAnswer:
    """An answer that the model generates: how the gold answer is written, and how generated answers are scored."""

    write: Callable[[Example, Word], str]
    measure: Callable[[Sequence[Example], Sequence[str], Word], dict[str, Metric]]


@dataclass(frozen=True)
class InWords:
    """`instruction`: the instruction, where `{labels}` stands for the words of all labels. `template`: a question with
    its answer; `given` returns the values of its placeholders. `written`: for generated answers; None: one of the
    labels is chosen."""

    instruction: str
    template: str
    given: Callable[[Example], Mapping[str, str]]
    written: GeneratedAnswer | None = None


def of_texts(example: Example) -> dict[str, str]:
    """Placeholder values of a text or a pair of texts."""
    return {"text": example.text, "second": example.second}


def of_spans(*names: str) -> Callable[[Example], dict[str, str]]:
    """Placeholder values of a text and of its spans, under these names."""

    def given(example: Example) -> dict[str, str]:
        spans = zip(names, example.spans, strict=True)
        return {"text": example.text, **{name: example.text[span.start : span.end] for name, span in spans}}

    return given
