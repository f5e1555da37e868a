"""Rows of a task: an example as tokens, special tokens and markers in place, ready to be padded into a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from kepipe.arrays import Ints

Reads = Literal["spans", "row", "words", "second"]
"""Which tokens the head reads: those of the spans asked about, the one of the row, every word's, or that of the row and
every token of the second text."""


class Named(NamedTuple):
    """Tokens first..stop (exclusive) of a row name an entity of the graph."""

    first: int
    stop: int
    entity: str


@dataclass(frozen=True, slots=True)
class Row:
    """One example as tokens. T tokens, without padding.

    `tokens`, `segments`: int [T]. `read_positions`: the tokens that the head reads, always as many for every row of a
    task, and in the same order ([CLS]; [HD] and [TL]; [ENT]), or for tagging one for each word that was not cut
    off and of which the tokenizer leaves something, in order. `words`: the numbers of these words, where others stand
    between them; None: the first ones. `mentions`: what is named where, in order, without overlap. `labels`: the true
    answer as the task's output makes it, in numbers: the one label of a row, the several of typing, one for each
    word that is read in tagging, the tokens of a text; None where it is not known. `example`: the number of the example
    among those that were made rows of together; one that is longer than a row has several, its windows. `characters`:
    int [n, 2], the characters of the second text, first and stop, that each token of it has, where these are read.
    """

    tokens: Ints
    segments: Ints
    read_positions: tuple[int, ...]
    mentions: tuple[Named, ...] = ()
    labels: tuple[float, ...] | None = None
    words: tuple[int, ...] | None = None
    example: int = 0
    characters: Ints | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def read_words(self) -> Sequence[int]:
        """The number of the word of each token that is read, in tagging."""
        return range(len(self.read_positions)) if self.words is None else self.words
