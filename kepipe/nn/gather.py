"""Gathering selected positions of each row of a batch into slots: every row has as many slots as the fullest row
needs."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """The values on a device. A GPU that copies them from pinned memory does not make the processor wait."""
    if device.type == "cuda" and values.device.type == "cpu":
        values = values.pin_memory()
    return values.to(device, non_blocking=True)


def pick(x_BTD: Tensor, flat_N: Tensor) -> Tensor:
    """[N, D] at flat indices into B·T, which may be on the CPU while `x_BTD` is on another device."""
    # On a CPU, the backward pass of index_select is much faster than that of x[places].
    return x_BTD.flatten(0, 1).index_select(0, to_device(flat_N, x_BTD.device))


def slots(row_N: Tensor, place_N: Tensor, rows: int, multiple: int = 1) -> tuple[Tensor, Tensor, Tensor]:
    """Slots for the given positions, in the order in which those of a row are given; as many as the fullest row needs,
    or the next `multiple` of so many.

    Returns int [B, S], the position in its row of each slot, the first position for unused slots; int [N], the flat
    index into B·S of each given position's slot; int [B], the number of used slots per row.
    """
    count_B = torch.bincount(row_N, minlength=rows)
    order_N = row_N.argsort(stable=True)
    sorted_N = row_N[order_N]
    rank_N = torch.empty_like(row_N)
    rank_N[order_N] = torch.arange(len(row_N), device=row_N.device) - (count_B.cumsum(0) - count_B)[sorted_N]
    multiple = max(1, multiple)
    most = max(1, int(count_B.max()))
    places_BS = place_N.new_zeros(rows, -(-most // multiple) * multiple)
    places_BS[row_N, rank_N] = place_N
    return places_BS, row_N * places_BS.shape[1] + rank_N, count_B


def flat(places_BS: Tensor, length: int) -> Tensor:
    """Flat indices into B·T of positions in rows of `length`, int [B·S]."""
    rows = torch.arange(len(places_BS), device=places_BS.device)
    return (places_BS + length * rows[:, None]).flatten()


def reversed_positions(there_BT: Tensor, from_right_B: Tensor | None = None) -> Tensor:
    """The position of each token if the rows with `from_right_B` are reversed, all rows if it is None, int [B, T];
    positions beyond a row's end are unchanged. The mapping is its own inverse."""
    places_T = torch.arange(there_BT.shape[1], device=there_BT.device)
    turns_BT = there_BT if from_right_B is None else there_BT & from_right_B[:, None]
    return torch.where(turns_BT, there_BT.sum(1, keepdim=True) - 1 - places_T, places_T)
