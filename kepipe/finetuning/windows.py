"""Merge the predictions of overlapping windows of a long text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kepipe.arrays import Floats, Ints
from kepipe.finetuning.rows import Row


def merge_word_values(parts: Sequence[Floats], rows: Sequence[Row]) -> Floats:
    """Merge the values of the words of each row, float [n, L], into float [W, L] for all words up to the last one; NaN
    for words that no row covers. For a word in several windows, the window with the most context around it is used, as
    in BERT's code for SQuAD."""
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
    """The number of tokens on the shorter side of each read position, int [n]."""
    places_N = np.array(row.read_positions, np.int64)
    return np.minimum(places_N, len(row) - 1 - places_N)
