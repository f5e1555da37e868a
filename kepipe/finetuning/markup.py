"""Parse the markup of `kepipe predict`: a text with marked spans → an example.

`[[Marie Curie|head]] was born in [[Warsaw|tail]].`, or with the id of an entity, `[[Warsaw|tail|Q270]]`.
"""

from __future__ import annotations

import re

from kepipe.data.document import Mention, Span
from kepipe.finetuning.examples import Example
from kepipe.finetuning.mention_finders import Language
from kepipe.finetuning.table import TASKS, TaskName
from kepipe.finetuning.task import ParsedMarkup

_MARKUP = re.compile(r"\[\[([^\[\]|]+)(?:\|([^\[\]|]*))?(?:\|([^\[\]|]+))?\]\]")
_WORD = re.compile(r"\w+|[^\w\s]")
_CHARACTER = re.compile(r"\S")


def ask(task: TaskName, text: str, language: Language, id: str) -> Example:
    """The example of a text with markup. Raises ValueError with the expected form if the markup does not fit the
    task."""
    bare, spans, mentions = parse_markup(text)
    if not bare.strip():
        raise ValueError(f"{id}: the text is empty")
    row = TASKS[task]
    example = row.as_example(id, ParsedMarkup(bare, spans, mentions, lambda: words(bare, language)))
    if example is None:
        raise ValueError(f"{id}: {task} asks for a text {row.asks}; found {text[:120]!r}")
    return example


def parse_markup(text: str) -> tuple[str, dict[str, Span], tuple[Mention, ...]]:
    """The text without its markup; role → its character span; the mentions with an entity."""
    bare, at, spans, mentions = "", 0, {}, []
    for found in _MARKUP.finditer(text):
        bare += text[at : found.start()]
        at = found.end()
        span = Span(len(bare), len(bare) + len(found[1]))
        bare += found[1]
        spans[found[2] or ""] = span
        if found[3]:
            mentions.append(Mention(*span, found[3]))
    return bare + text[at:], spans, tuple(mentions)


def words(text: str, language: Language) -> tuple[Span, ...]:
    """The spans that get a label each: Chinese characters, or words and punctuation marks."""
    pattern = _CHARACTER if language == "zh" else _WORD
    return tuple(Span(*found.span()) for found in pattern.finditer(text))
