"""Rotary positions: queries and keys are rotated by angles that depend on their positions, so that scores depend on
distances (Su et al. 2021, "RoFormer", §3.2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kepipe.nn.query_positions import QueryPositions


@dataclass(frozen=True)
class Rotation:
    """Angles of the positions of a row, as `cos` and `sin` of shape [B or 1, T, H, K], equal for all heads; the first
    half of `sin` is negated. They are expanded to all heads, so that a CPU processes long contiguous runs."""

    cos: Tensor
    sin: Tensor

    def turn(self, x_BTHK: Tensor) -> Tensor:
        """Each pair (x_i, x_{i+K/2}) of a head rotated by the i-th angle of its position (eq. 34)."""
        first, second = x_BTHK.chunk(2, -1)
        swapped_BTHK = torch.cat([second, first], -1)
        cos, sin = self.cos.to(x_BTHK.dtype), self.sin.to(x_BTHK.dtype)
        return torch.addcmul(x_BTHK * cos, swapped_BTHK, sin)

    def at(self, query_positions: QueryPositions) -> Rotation:
        """The angles of a subset of queries."""
        places_BR11 = query_positions.places[:, :, None, None]
        cos, sin = (
            part.expand(len(places_BR11), -1, -1, -1).take_along_dim(places_BR11, 1)
            for part in (self.cos, self.sin)
        )
        return Rotation(cos, sin)


def rotation(positions: Tensor, heads: int, width: int, theta: float) -> Rotation:
    """For positions [T] or [B, T] and `heads` of `width` K: angle i is position · theta^(−2i/K)."""
    frequencies = theta ** (-torch.arange(0, width, 2, device=positions.device, dtype=torch.float32) / width)
    angles = (positions if positions.ndim == 2 else positions[None]).float()[..., None, None] * frequencies
    angles_BTHK = angles.expand(-1, -1, heads, -1)
    sin = angles_BTHK.sin()
    return Rotation(angles_BTHK.cos().repeat(1, 1, 1, 2), torch.cat([-sin, sin], -1))
