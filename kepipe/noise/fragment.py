"""MASS's fragment (Song et al. 2019, section 3): a contiguous half of the row, which the decoder predicts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kepipe.arrays import Bools, Ints
from kepipe.noise.draws import Draws

SHARE, AT_START, AT_END = 0.5, 0.2, 0.2
"""Length of the fragment as a share of the row, and the probabilities that it is at the start and at the end of the
row, as in the released code."""


@dataclass(frozen=True)
class Fragment:
    """Inputs and labels of the decoder, int [B, K]; `present`, bool [B, K], is False on padding.

    `tokens` are the *original* tokens before each place, `positions` those of the original row.
    """

    tokens: Ints
    positions: Ints
    labels: Ints
    present: Bools


def draw_fragment(special_BT: Bools, draws: Draws, share: float = SHARE) -> tuple[Ints, Ints]:
    """Start column and length of each row's fragment, int [B] each, between its first and last text token.

    A fifth start at the first, a fifth end at the last, the others start anywhere; length round(share · n), at
    least 1; 0 for a row without text.
    """
    text_BT = ~special_BT
    first_B = text_BT.argmax(axis=1)
    reach_B = np.where(
        text_BT.any(axis=1), special_BT.shape[1] - text_BT[:, ::-1].argmax(axis=1) - first_B, 0
    )
    length_B = np.where(reach_B > 0, np.maximum(np.rint(share * reach_B), 1), 0).astype(np.int64)
    rule_B, place_B = draws.random((len(special_BT), 2)).T
    slack_B = reach_B - length_B
    offset_B = (place_B * (slack_B + 1)).astype(np.int64)
    offset_B = np.where(rule_B < AT_START, 0, np.where(rule_B < AT_START + AT_END, slack_B, offset_B))
    return first_B + offset_B, length_B


def mark(start_B: Ints, length_B: Ints, width: int) -> Bools:
    """True inside each row's fragment: bool [B, T]."""
    column_T = np.arange(width)
    return (column_T >= start_B[:, None]) & (column_T < (start_B + length_B)[:, None])


def cut_fragment(tokens_BT: Ints, start_B: Ints, length_B: Ints, *, pad_id: int, begin_id: int) -> Fragment:
    """The decoder's inputs and labels; `begin_id` precedes a fragment at column 0."""
    step_K = np.arange(int(length_B.max(initial=0)))
    present = step_K < length_B[:, None]
    column = np.where(present, start_B[:, None] + step_K, 0)
    before = np.take_along_axis(tokens_BT, np.maximum(column - 1, 0), axis=1)
    before = np.where(column == 0, begin_id, before)
    labels = np.take_along_axis(tokens_BT, column, axis=1)
    return Fragment(
        tokens=np.where(present, before, pad_id),
        positions=column,
        labels=np.where(present, labels, pad_id),
        present=present,
    )
