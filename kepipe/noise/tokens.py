"""Token masking (Devlin et al. 2019, section 3.1): the predicted tokens, and their replacements."""

from __future__ import annotations

import numpy as np

from kepipe.arrays import Bools, Ints
from kepipe.noise.draws import Draws

SHARE, MASKED, RANDOM = 0.15, 0.8, 0.1
"""BERT's shares of predicted tokens, and among these of masked and of randomly replaced tokens; the rest is kept."""


def budget(special_BT: Bools, share: float) -> Ints:
    """Tokens to select in each row: `share` of its text rounded to the nearest (ties to even), at least 1: int [B]."""
    text_B = (~special_BT).sum(axis=1)
    return np.where(text_B > 0, np.maximum(np.rint(share * text_B), 1), 0).astype(np.int64)


def select_tokens(special_BT: Bools, draws: Draws, share: float = SHARE) -> Bools:
    """A uniform choice of exactly `budget` text tokens of each row: bool [B, T]."""
    keys_BT = draws.random(special_BT.shape)
    keys_BT[special_BT] = np.inf
    count_B = budget(special_BT, share)
    last_B = np.take_along_axis(np.sort(keys_BT, axis=1), np.maximum(count_B - 1, 0)[:, None], axis=1)
    return (keys_BT <= last_B) & ~special_BT


def select_tokens_by_coin(special_BT: Bools, draws: Draws, share: float = SHARE) -> Bools:
    """As in ERNIE's released code (`upstream`): each text token independently with probability `share`: bool [B, T]."""
    return (draws.random(special_BT.shape) <= share) & ~special_BT


def draw_replacements(
    shape: tuple[int, int],
    mask: int,
    ordinary: Ints,
    draws: Draws,
    masked: float = MASKED,
    random: float = RANDOM,
) -> Ints:
    """The replacement of each token if selected: the mask, a uniform one of the `ordinary` ids, or −1 (kept): int [B,
    T]."""
    u_BT = draws.random(shape)
    replacement_BT = np.full(shape, -1, dtype=np.int64)
    replacement_BT[u_BT < masked] = mask
    # Given masked <= u < masked + random, (u - masked) / random is uniform too.
    chosen_BT = (u_BT >= masked) & (u_BT < masked + random)
    place = ((u_BT[chosen_BT] - masked) / random * len(ordinary)).astype(np.int64)
    replacement_BT[chosen_BT] = ordinary[np.minimum(place, len(ordinary) - 1)]
    return replacement_BT


def replace(tokens_BT: Ints, selected_BT: Bools, replacement_BT: Ints) -> Ints:
    """The tokens with the selected ones replaced, where the replacement is not −1."""
    return np.where(selected_BT & (replacement_BT >= 0), replacement_BT, tokens_BT)
