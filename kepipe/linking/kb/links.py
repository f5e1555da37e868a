"""Linked spans: character offsets and the row of the entity that is meant."""

from __future__ import annotations

from typing import NamedTuple

NIL, UNKNOWN = -1, -2


class Link(NamedTuple):
    """A span and the row of its gold or predicted entity. NIL: the entity is not in the graph; UNKNOWN: undecidable."""

    start: int
    end: int
    row: int


class LinkedSpan(NamedTuple):
    """A span that a linker linked, with the row of its entity and its score."""

    start: int
    end: int
    row: int
    score: float
