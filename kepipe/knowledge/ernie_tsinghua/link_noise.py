"""Corruption of entity links, for the denoising entity auto-encoder (Zhang et al. 2019, §3.4): some mentions are given
another entity, some lose theirs, and the model has to say which one it was."""

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
    """What becomes of a link at each place: KEEP, REMOVE, or the row of another entity: int [B, T].

    The other one is uniform over the `entities` rows of the graph's table without the link's own. Where there is no
    link, what is drawn means nothing.
    """
    u_BT = draws.random(links_BT.shape)
    change_BT = _stay_or_go(u_BT, replaced, removed)
    chosen_BT = u_BT < (replaced if entities > 1 else 0.0)
    # Given that u lies in the stretch of the replaced ones, its place there is uniform too.
    other = np.minimum((u_BT[chosen_BT] / replaced * (entities - 1)).astype(np.int64), entities - 2)
    change_BT[chosen_BT] = other + (other >= links_BT[chosen_BT])
    return change_BT


def draw_links_of_batch(
    links_BT: Ints, draws: Draws, replaced: float = REPLACED, removed: float = REMOVED
) -> Ints:
    """The same as the released code has it: the other entity is one of the batch, and may be the link's own."""
    u_BT = draws.random(links_BT.shape)
    change_BT = _stay_or_go(u_BT, replaced, removed)
    present = np.unique(links_BT[links_BT >= 0])
    chosen_BT = u_BT < (replaced if len(present) else 0.0)
    place = (u_BT[chosen_BT] / replaced * len(present)).astype(np.int64)
    change_BT[chosen_BT] = present[np.minimum(place, len(present) - 1)]
    return change_BT


def change_links(links_BT: Ints, change_BT: Ints) -> Ints:
    """The links after what was drawn; a place without one (−1) stays without."""
    return np.where((links_BT < 0) | (change_BT == KEEP), links_BT, change_BT)


def _stay_or_go(u_BT: Floats, replaced: float, removed: float) -> Ints:
    gone_BT = (u_BT >= replaced) & (u_BT < replaced + removed)
    return np.where(gone_BT, REMOVE, KEEP)
