"""Some places of each row of a batch, gathered into slots: as many slots in every row as the fullest row needs."""

from __future__ import annotations

import torch
from torch import Tensor


def pick(x_BTD: Tensor, flat_N: Tensor) -> Tensor:
    """[N, D] at places among the B·T, which may lie on the CPU while `x_BTD` is on a device."""
    # On a CPU the backward pass of index_select is far faster than that of x[places].
    return x_BTD.flatten(0, 1).index_select(0, flat_N.to(x_BTD.device, non_blocking=True))


def slots(row_N: Tensor, place_N: Tensor, rows: int) -> tuple[Tensor, Tensor, Tensor]:
    """Slots for the places given, a row's in the order in which they come.

    Returns int [B, S], the place in its row of each slot, the first where a row does not need the slot; int [N], the
    slot among the B·S of each place given; int [B], how many slots each row needs.
    """
    count_B = torch.bincount(row_N, minlength=rows)
    order_N = row_N.argsort(stable=True)
    sorted_N = row_N[order_N]
    rank_N = torch.empty_like(row_N)
    rank_N[order_N] = torch.arange(len(row_N), device=row_N.device) - (count_B.cumsum(0) - count_B)[sorted_N]
    places_BS = place_N.new_zeros(rows, max(1, int(count_B.max())))
    places_BS[row_N, rank_N] = place_N
    return places_BS, row_N * places_BS.shape[1] + rank_N, count_B


def flat(places_BS: Tensor, length: int) -> Tensor:
    """Places in rows of `length` as places among the B·T, int [B·S]."""
    rows = torch.arange(len(places_BS), device=places_BS.device)
    return (places_BS + length * rows[:, None]).flatten()


def reversed_positions(there_BT: Tensor, from_right_B: Tensor | None = None) -> Tensor:
    """The place of each token in its row with the rows `from_right_B` turned around, all where it is None, int [B, T];
    what is beyond a row's end stays. It is its own inverse."""
    places_T = torch.arange(there_BT.shape[1], device=there_BT.device)
    turns_BT = there_BT if from_right_B is None else there_BT & from_right_B[:, None]
    return torch.where(turns_BT, there_BT.sum(1, keepdim=True) - 1 - places_T, places_T)
