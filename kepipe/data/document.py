"""The shapes that flow between the parts of kepipe, each documented once.

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
    """Characters start..end (exclusive) that one speaker says; `role`: 0 who begins the dialogue, 1 others."""

    start: int
    end: int
    role: int


@dataclass(frozen=True, slots=True)
class Mention:
    """A stretch of text that names an entity of the graph; `score` in 0..1 is the linker's confidence."""

    start: int
    end: int
    entity: str
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class Document:
    """One text and what is known of it.

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
