"""UniLM's selection (Dong et al. 2019, section 2.3): 80% single tokens, 20% bigrams or trigrams."""

from __future__ import annotations

import numpy as np

from kepipe.arrays import Bools, Ints
from kepipe.noise.draws import Draws
from kepipe.noise.tokens import SHARE, budget

LONGER = 0.2
"""Share of selections that take two or three tokens, one as often as the other."""


def select_ngrams(special_BT: Bools, draws: Draws, share: float = SHARE, longer: float = LONGER) -> Bools:
    """Runs of 1 to 3 text tokens that fill each row's budget and do not overlap: bool [B, T]."""
    keys_BT = draws.random(special_BT.shape)
    keys_BT[special_BT] = np.inf
    u_BT = draws.random(special_BT.shape)
    length_BT = 1 + (u_BT < longer).astype(np.int64) + (u_BT < longer / 2)
    order_BT, budget_B = np.argsort(keys_BT, axis=1), budget(special_BT, share)
    selected_BT = place_ngrams(order_BT, length_BT, ~special_BT, budget_B)
    left_B = budget_B - selected_BT.sum(axis=1)  # if only runs were drawn that do not fit, in a short row
    singles_BT = place_ngrams(order_BT, np.ones_like(length_BT), ~special_BT & ~selected_BT, left_B)
    return selected_BT | singles_BT


def place_ngrams(start_BT: Ints, length_BT: Ints, free_BT: Bools, budget_B: Ints) -> Bools:
    """Take runs in order: `length[:, k]` tokens from column `start[:, k]`; bool [B, T].

    A run is skipped if it would exceed the row's budget, or overlaps a token that is not free or already taken.
    """
    rows, width = free_BT.shape
    open_BT = np.zeros((rows, width + 2), dtype=np.bool_)  # two more columns, for runs beyond the row
    open_BT[:, :width] = free_BT
    left_B, row_B = budget_B.copy(), np.arange(rows)
    for start_B, length_B in zip(start_BT.T, length_BT.T, strict=True):
        fits_B = (length_B <= left_B) & open_BT[row_B, start_B]
        fits_B &= open_BT[row_B, start_B + 1] | (length_B < 2)
        fits_B &= open_BT[row_B, start_B + 2] | (length_B < 3)
        for step in range(3):
            taken_B = np.flatnonzero(fits_B & (length_B > step))
            open_BT[taken_B, start_B[taken_B] + step] = False
        left_B -= length_B * fits_B
        if not left_B.any():
            break
    return free_BT & ~open_BT[:, :width]
