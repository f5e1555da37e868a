"""Positions at which the last layer's output is needed, so that only these are computed.

A masked language model needs one position in seven. Keys and values of the last layer are computed at every position,
but queries, output projection, norms and feed-forward only at the needed ones.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kepipe.nn.gather import flat, pick, slots, to_device

WORTHWHILE = 0.5
"""Share of a batch's positions above which the layer is computed at all positions, because gathering has a cost as
well."""


@dataclass(frozen=True)
class QueryPositions:
    """Each row has R slots. `places`: int [B, R], the position in its row that a slot reads; unused slots refer to the
    first position. `slots`: int [N], the flat index into B·R of each requested position's slot."""

    places: Tensor
    slots: Tensor

    def to(self, device: torch.device) -> QueryPositions:
        """The same on a device."""
        return QueryPositions(to_device(self.places, device), to_device(self.slots, device))

    def narrow(self, x_BTD: Tensor) -> Tensor:
        """[B, T, D] → [B, R, D]."""
        return pick(x_BTD, flat(self.places, x_BTD.shape[1])).view(*self.places.shape, -1)

    def pick(self, x_BRD: Tensor) -> Tensor:
        """[B, R, D] → [N, D], in the order in which the positions were requested."""
        return pick(x_BRD, self.slots)


def plan_query_positions(
    flat_N: Tensor, rows: int, length: int, *, few_shapes: bool = False
) -> QueryPositions | None:
    """Slots for flat positions of a batch of `rows` × `length`, in any order; None if most positions would be
    computed. `few_shapes`: their number R is a multiple of an eighth of the length."""
    row_N, place_N = torch.div(flat_N, length, rounding_mode="floor"), flat_N % length
    places_BR, slots_N, _ = slots(row_N, place_N, rows, length // 8 if few_shapes else 1)
    return None if places_BR.shape[1] > WORTHWHILE * length else QueryPositions(places_BR, slots_N)
