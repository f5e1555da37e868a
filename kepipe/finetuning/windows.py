"""The rows of a long text put together again: its windows overlap, and each says something of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kepipe.arrays import Floats, Ints
from kepipe.finetuning.rows import Row


def words_together(parts: Sequence[Floats], rows: Sequence[Row]) -> Floats:
    """Values of the words that each row reads, float [n, L] → of all words up to the last of them, float [W, L], NaN
    for those that no row reads. Of the windows that read a word the one in which most stands around it is taken, as
    BERT does for SQuAD."""
    words = [np.array(row.read_words[: len(part)], np.int64) for row, part in zip(rows, parts, strict=True)]
    last = max((int(of_row[-1]) + 1 for of_row in words if len(of_row)), default=0)
    values_WL = np.full((last, parts[0].shape[1]), np.nan)
    around_W = np.full(last, -1)
    for part_NL, row, words_N in zip(parts, rows, words, strict=True):
        here_N = _context(row)[: len(words_N)]
        better_N = here_N > around_W[words_N]
        values_WL[words_N[better_N]] = part_NL[better_N]
        around_W[words_N[better_N]] = here_N[better_N]
    return values_WL


def _context(row: Row) -> Ints:
    """How many tokens stand on the nearer side of each one that is read, int [n]."""
    places_N = np.array(row.read_positions, np.int64)
    return np.minimum(places_N, len(row) - 1 - places_N)
