"""At which places the last layer's output is read: only there need it be worked out.

A masked language model reads one place in seven. Every place still shows itself to the others, as key and value, but
queries, output projection, norms and feed-forward of the last layer are needed at those places alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kepipe.nn.gather import flat, pick, slots

WORTHWHILE = 0.5
"""Share of a batch's places above which the layer is worked out whole: to gather costs something too."""


@dataclass(frozen=True)
class QueryPositions:
    """Each row has R slots. `places`: int [B, R], the place of its row that a slot reads; slots that rows with fewer
    reads do not need stand at the first place. `slots`: int [N], the slot, among the B·R, of each place asked for."""

    places: Tensor
    slots: Tensor

    def to(self, device: torch.device) -> QueryPositions:
        """The same on a device."""
        return QueryPositions(
            self.places.to(device, non_blocking=True), self.slots.to(device, non_blocking=True)
        )

    def narrow(self, x_BTD: Tensor) -> Tensor:
        """[B, T, D] → [B, R, D]."""
        return pick(x_BTD, flat(self.places, x_BTD.shape[1])).view(*self.places.shape, -1)

    def pick(self, x_BRD: Tensor) -> Tensor:
        """[B, R, D] → [N, D], in the order in which the places were asked for."""
        return pick(x_BRD, self.slots)


def plan_query_positions(flat_N: Tensor, rows: int, length: int) -> QueryPositions | None:
    """Slots for places of a batch of `rows` × `length`, in any order; None where most places would be worked out."""
    places_BR, slots_N, _ = slots(torch.div(flat_N, length, rounding_mode="floor"), flat_N % length, rows)
    return None if places_BR.shape[1] > WORTHWHILE * length else QueryPositions(places_BR, slots_N)
