"""The data types of documents that are shared by all parts of kepipe.

Offsets are characters of `Document.text`, half open, so that they do not depend on a tokenizer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Span(NamedTuple):
    """Characters start..end (exclusive) of a text."""

    start: int
    end: int


class Turn(NamedTuple):
    """Characters start..end (exclusive) of one turn; `role`: 0 for the speaker who begins the dialogue, 1 for
    others."""

    start: int
    end: int
    role: int


@dataclass(frozen=True, slots=True)
class Mention:
    """A span of text that mentions an entity of the graph; `score`, 0..1, is the linker's confidence."""

    start: int
    end: int
    entity: str
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class Document:
    """A text with its annotations.

    `mentions` are the linker's; `gold` are given with the data (a link anchor, an annotation) and are used
    to score and to train the linker. `spans` in `sentences` and `phrases` are in order and do not overlap, nor do
    `turns`, which only a dialogue has.
    """

    id: str
    text: str
    title: str = ""
    sentences: tuple[Span, ...] = ()
    phrases: tuple[Span, ...] = ()
    mentions: tuple[Mention, ...] = ()
    gold: tuple[Mention, ...] = ()
    turns: tuple[Turn, ...] = ()
