"""Selecting whole units: words (whole-word masking), phrases and entities (ERNIE 1.0, section 3.2)."""

from __future__ import annotations

import numpy as np

from kepipe.arrays import Bools, Ints
from kepipe.noise.draws import Draws
from kepipe.noise.tokens import SHARE, budget


def select_units(units_BT: Ints, draws: Draws, share: float = SHARE) -> Bools:
    """Uniformly ordered units, each taken as a whole if the row's budget still has room for it: bool [B, T].

    `units_BT` numbers each row's units from 0, −1 where nothing can be selected (`TokenRows.units[level]`).
    """
    sizes_BU = count_units(units_BT)
    order_BU = np.argsort(draws.random(sizes_BU.shape), axis=1)
    chosen_BU = fill(sizes_BU, order_BU, budget(units_BT < 0, share))
    return spread(chosen_BU, units_BT)


def select_units_by_coin(units_BT: Ints, draws: Draws, share: float = SHARE) -> Bools:
    """As in ERNIE's released code (`upstream`): each unit independently with probability `share`, whatever its size."""
    sizes_BU = count_units(units_BT)
    return spread(draws.random(sizes_BU.shape) <= share, units_BT)


def move_units(units_BT: Ints, words_BT: Ints, sentences_BT: Ints, draws: Draws) -> Ints:
    """Units of as many words in another order, uniform within each sentence, over the same words: int [B, T].

    All arguments number each row's text from 0, −1 elsewhere. A word that is cut by a unit counts as two.
    """
    text_BT = units_BT >= 0
    begins_BT = text_BT.copy()
    begins_BT[:, 1:] &= (np.diff(units_BT) != 0) | (np.diff(words_BT) != 0)
    sizes_BU = count_units(np.where(begins_BT, units_BT, -1))
    sentence_BU = np.full(sizes_BU.shape, np.inf)
    rows_N, places_N = np.nonzero(begins_BT)
    sentence_BU[rows_N, units_BT[rows_N, places_N]] = sentences_BT[rows_N, places_N]
    order_BU = np.argsort(sentence_BU + draws.random(sizes_BU.shape), axis=1)

    ends_BU = np.cumsum(np.take_along_axis(sizes_BU, order_BU, axis=1), axis=1)
    is_end_BW = np.zeros((len(units_BT), units_BT.shape[1] + 1), dtype=np.int64)
    np.put_along_axis(is_end_BW, ends_BU, 1, axis=1)
    unit_BW = np.cumsum(is_end_BW, axis=1)
    word_BT = np.cumsum(begins_BT, axis=1) - 1
    return np.where(text_BT, np.take_along_axis(unit_BW, np.maximum(word_BT, 0), axis=1), -1)


def count_units(units_BT: Ints) -> Ints:
    """Tokens of each unit: int [B, U]; U is the largest number of units in a row."""
    rows, most = len(units_BT), int(units_BT.max(initial=-1)) + 1
    flat = units_BT + most * np.arange(rows)[:, None]
    return np.bincount(flat[units_BT >= 0], minlength=rows * most).reshape(rows, most)


def fill(sizes_BU: Ints, order_BU: Ints, budget_B: Ints) -> Bools:
    """Take units in the given order; one that would exceed the row's budget is skipped: bool [B, U]."""
    sizes_UB = np.take_along_axis(sizes_BU, order_BU, axis=1).T.copy()
    taken_UB = np.zeros(sizes_UB.shape, dtype=np.bool_)
    left_B = budget_B.copy()
    for rank, size_B in enumerate(sizes_UB):
        fits_B = (size_B > 0) & (size_B <= left_B)
        taken_UB[rank] = fits_B
        left_B -= size_B * fits_B
        if not left_B.any():
            break
    chosen_BU = np.zeros(sizes_BU.shape, dtype=np.bool_)
    np.put_along_axis(chosen_BU, order_BU, taken_UB.T, axis=1)
    return chosen_BU


def spread(chosen_BU: Bools, units_BT: Ints) -> Bools:
    """The tokens of the chosen units: bool [B, T]."""
    if not chosen_BU.shape[1]:
        return np.zeros(units_BT.shape, dtype=np.bool_)
    return np.take_along_axis(chosen_BU, np.maximum(units_BT, 0), axis=1) & (units_BT >= 0)
