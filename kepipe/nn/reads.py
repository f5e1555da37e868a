"""At which places the last layer's output is read: only there need it be worked out.

A masked language model reads one place in seven. Every place still shows itself to the others, as key and value, but
queries, output projection, norms and feed-forward of the last layer are needed at those places alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

WORTHWHILE = 0.5
"""Share of a batch's places above which the layer is worked out whole: to gather costs something too."""


@dataclass(frozen=True)
class Reads:
    """Each row has R slots. `places`: int [B, R], the place of its row that a slot reads; slots that rows with fewer
    reads do not need stand at the first place. `slots`: int [N], the slot, among the B·R, of each place asked for."""

    places: Tensor
    slots: Tensor

    def narrow(self, x_BTD: Tensor) -> Tensor:
        """[B, T, D] → [B, R, D]."""
        rows, length, _ = x_BTD.shape
        flat_BR = self.places + length * torch.arange(rows, device=x_BTD.device)[:, None]
        # index_select: on a CPU its backward pass is far faster than that of x[rows, places].
        return x_BTD.flatten(0, 1).index_select(0, flat_BR.flatten()).view(*flat_BR.shape, -1)

    def pick(self, x_BRD: Tensor) -> Tensor:
        """[B, R, D] → [N, D], in the order in which the places were asked for."""
        return x_BRD.flatten(0, 1).index_select(0, self.slots)


def reads(flat_N: Tensor, rows: int, length: int) -> Reads | None:
    """Slots for places of a batch of `rows` × `length`, in any order; None where most places would be worked out."""
    row_N = torch.div(flat_N, length, rounding_mode="floor")
    count_B = torch.bincount(row_N, minlength=rows)
    slots = max(1, int(count_B.max()))
    if slots > WORTHWHILE * length:
        return None
    order_N = row_N.argsort(stable=True)
    rank_N = torch.arange(len(row_N), device=flat_N.device) - (count_B.cumsum(0) - count_B)[row_N[order_N]]
    slots_N = torch.empty_like(row_N)
    slots_N[order_N] = row_N[order_N] * slots + rank_N
    places_BR = torch.zeros(rows * slots, dtype=flat_N.dtype, device=flat_N.device)
    places_BR[slots_N] = flat_N % length
    return Reads(places_BR.view(rows, slots), slots_N)
