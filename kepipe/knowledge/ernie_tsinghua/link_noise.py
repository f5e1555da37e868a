"""Corruption of entity links for the denoising entity auto-encoder (Zhang et al. 2019, §3.4): some links are replaced,
some removed, and the model predicts the true entity."""

from __future__ import annotations

import numpy as np

from kepipe.arrays import Floats, Ints
from kepipe.knowledge.ernie_tsinghua.settings import REMOVED, REPLACED
from kepipe.noise.draws import Draws

KEEP, REMOVE = -2, -1


def draw_links(
    links_BT: Ints,
    entities: int,
    draws: Draws,
    replaced: float = REPLACED,
    removed: float = REMOVED,
) -> Ints:
    """The corruption of the link at each position: KEEP, REMOVE, or the row of another entity: int [B, T].

    The other entity is uniform over the `entities` rows of the graph's table except the link's own. Values at positions
    without a link are meaningless.
    """
    u_BT = draws.random(links_BT.shape)
    change_BT = _keep_or_remove(u_BT, replaced, removed)
    chosen_BT = u_BT < (replaced if entities > 1 else 0.0)
    # Given u < replaced, u / replaced is uniform too.
    other = np.minimum((u_BT[chosen_BT] / replaced * (entities - 1)).astype(np.int64), entities - 2)
    change_BT[chosen_BT] = other + (other >= links_BT[chosen_BT])
    return change_BT


def draw_links_of_batch(
    links_BT: Ints, draws: Draws, replaced: float = REPLACED, removed: float = REMOVED
) -> Ints:
    """`draw_links` as in the released code: the other entity is drawn from the batch, and may be the link's own."""
    u_BT = draws.random(links_BT.shape)
    change_BT = _keep_or_remove(u_BT, replaced, removed)
    present = np.unique(links_BT[links_BT >= 0])
    chosen_BT = u_BT < (replaced if len(present) else 0.0)
    place = (u_BT[chosen_BT] / replaced * len(present)).astype(np.int64)
    change_BT[chosen_BT] = present[np.minimum(place, len(present) - 1)]
    return change_BT


def change_links(links_BT: Ints, change_BT: Ints) -> Ints:
    """The links with the drawn corruption applied; positions without a link (−1) are unchanged."""
    return np.where((links_BT < 0) | (change_BT == KEEP), links_BT, change_BT)


def _keep_or_remove(u_BT: Floats, replaced: float, removed: float) -> Ints:
    gone_BT = (u_BT >= replaced) & (u_BT < replaced + removed)
    return np.where(gone_BT, REMOVE, KEEP)
