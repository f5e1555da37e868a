"""Rotary positions: queries and keys are turned by where they stand, so that scores depend on distances (Su et al.
2021, "RoFormer", §3.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kepipe.nn.query_positions import QueryPositions


@dataclass(frozen=True)
class Rotation:
    """Angles of the places of a row, as `cos` and `sin` of shape [B or 1, T, 1, K/2]."""

    cos: Tensor
    sin: Tensor

    def turn(self, x_BTHK: Tensor) -> Tensor:
        """Each pair (x_i, x_{i+K/2}) of a head turned by the i-th angle of its place (eq. 34)."""
        cos, sin = self.cos.to(x_BTHK.dtype), self.sin.to(x_BTHK.dtype)
        first, second = x_BTHK.chunk(2, -1)
        return torch.cat([first * cos - second * sin, second * cos + first * sin], -1)

    def at(self, query_positions: QueryPositions) -> Rotation:
        """The same for the queries at these places alone."""
        places_BR11 = query_positions.places[:, :, None, None]
        cos, sin = (
            part.expand(len(places_BR11), -1, -1, -1).take_along_dim(places_BR11, 1)
            for part in (self.cos, self.sin)
        )
        return Rotation(cos, sin)


def rotation(positions: Tensor, width: int, theta: float) -> Rotation:
    """For positions [T] or [B, T] and heads of `width` K: angle i is position · theta^(−2i/K)."""
    frequencies = theta ** (-torch.arange(0, width, 2, device=positions.device, dtype=torch.float32) / width)
    angles = positions.float()[..., None, None] * frequencies
    angles_BT1K = angles if angles.ndim == 4 else angles[None]
    return Rotation(angles_BT1K.cos(), angles_BT1K.sin())
