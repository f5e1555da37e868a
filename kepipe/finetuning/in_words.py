"""How a task is put to a language model in words (Brown et al. 2020, §2.4): a row of the table of tasks says it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from kepipe.finetuning.examples import Example
from kepipe.finetuning.metrics import Metric

Word = Callable[[str], str]
"""A label, or a type of spans → the word that stands for it."""


@dataclass(frozen=True)
class Written:
    """An answer that the model writes: how the true one is written, and how what was written is measured."""

    write: Callable[[Example, Word], str]
    measure: Callable[[Sequence[Example], Sequence[str], Word], dict[str, Metric]]


@dataclass(frozen=True)
class InWords:
    """`instruction`: what to do, with `{labels}` in the place of all labels' words. `template`: a question with its
    answer, with places that `given` fills. `written`: None where one of the labels is chosen."""

    instruction: str
    template: str
    given: Callable[[Example], Mapping[str, str]]
    written: Written | None = None


def of_texts(example: Example) -> dict[str, str]:
    """A text, or a pair of them."""
    return {"text": example.text, "second": example.second}


def of_spans(*names: str) -> Callable[[Example], dict[str, str]]:
    """A text, and its spans by these names."""

    def given(example: Example) -> dict[str, str]:
        spans = zip(names, example.spans, strict=True)
        return {"text": example.text, **{name: example.text[span.start : span.end] for name, span in spans}}

    return given
