"""Stretches of text, each with the row of the entity that it means."""

from __future__ import annotations

from typing import NamedTuple

NIL, UNKNOWN = -1, -2


class Link(NamedTuple):
    """A stretch of text and the row of what it means: NIL nothing in the graph, UNKNOWN cannot be told."""

    start: int
    end: int
    row: int


class LinkedSpan(NamedTuple):
    """A stretch of text that a linker linked: the row of its entity and its score."""

    start: int
    end: int
    row: int
    score: float
