"""Rows of a task: examples as token ids with special tokens and markers, ready for padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from kepipe.arrays import Floats, Ints

Reads = Literal["spans", "row", "words", "second"]
"""Which tokens the head reads: those of the example's spans, that of the row, one per word, or that of the row and all
tokens of the second text."""


class EntitySpan(NamedTuple):
    """Tokens first..stop (exclusive) of a row are a mention of an entity of the graph."""

    first: int
    stop: int
    entity: str


@dataclass(frozen=True, slots=True)
class Candidates:
    """S spans of a text that are names of a graph, and their K candidate entities.

    `spans`: int [S, 2], first and last word. `owners`: the span of each candidate, int [K], ascending. `entities`: rows
    of the graph, int [K]. `features`: float [K, F]. `gold`: int [S], the index of the right candidate (0 … K − 1), or
    `NIL`, or `LEFT_OUT` if it is not among the candidates; None if unknown.
    """

    spans: Ints
    owners: Ints
    entities: Ints
    features: Floats
    gold: Ints | None

    def take(self, spans: Ints) -> Candidates:
        """Those of some spans, given by ascending indices."""
        of_span = np.full(len(self.spans), -1)
        of_span[spans] = np.arange(len(spans))
        kept = np.flatnonzero(of_span[self.owners] >= 0)
        gold = None
        if self.gold is not None:
            gold = self.gold[spans]
            gold = np.where(gold < 0, gold, np.searchsorted(kept, gold))
        return Candidates(
            self.spans[spans], of_span[self.owners[kept]], self.entities[kept], self.features[kept], gold
        )


NIL, LEFT_OUT = -1, -2
"""Values of `Candidates.gold`: the span means no entity of the graph; an entity that is not among its candidates."""


@dataclass(frozen=True, slots=True)
class Row:
    """An example, or a window of it, as T tokens without padding.

    `tokens`, `segments`: int [T]. `read_positions`: the token positions that the head reads, the same number and order
    for every row of a task ([CLS]; [HD] and [TL]; [ENT]), or in tagging one for each word that has a token in the row.
    `words`: the indices of these words; None: 0, 1, 2, …. `mentions`: entity mentions, sorted, without overlap.
    `labels`: the encoded gold labels: one label index per row, several in typing, one per read word in tagging, token
    ids of a text; None if unknown. `example`: the index of the example; a long example has several rows, its windows.
    `characters`: int [n, 2], start and stop offsets in the second text of each of its tokens, if these are read.
    `soft_labels`: float [cases, L], a teacher's probabilities. `teacher_states`: float [cases, D], its hidden states,
    NaN for words that it does not read. `candidates`: names in the words of the row, with the entities that they may
    mean.
    """

    tokens: Ints
    segments: Ints
    read_positions: tuple[int, ...]
    mentions: tuple[EntitySpan, ...] = ()
    labels: tuple[float, ...] | None = None
    words: tuple[int, ...] | None = None
    example: int = 0
    characters: Ints | None = None
    soft_labels: Floats | None = None
    teacher_states: Floats | None = None
    candidates: Candidates | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def read_words(self) -> Sequence[int]:
        """In tagging, the word index of each read position."""
        return range(len(self.read_positions)) if self.words is None else self.words
