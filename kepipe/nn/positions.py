"""Positions: learned embeddings, and T5's relative bias."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class LearnedPositions(nn.Module):
    """An embedding for each of `places` positions. `offset` rows before position 0 are unused (RoBERTa and BART: 2)."""

    def __init__(self, places: int, hidden: int, offset: int = 0) -> None:
        super().__init__()
        self.places, self.offset = places, offset
        self.table = nn.Embedding(places + offset, hidden)

    def forward(self, length: int, positions_BT: Tensor | None = None, past: int = 0) -> Tensor:
        """[length, D] for positions past, past + 1, …; [B, T, D] for given positions."""
        if positions_BT is not None:
            given: Tensor = self.table(positions_BT + self.offset)
            return given
        if past + length > self.places:
            raise ValueError(f"{past + length} tokens in a row, and the model has {self.places} positions")
        return self.table.weight[self.offset + past : self.offset + past + length]


class RelativeBias(nn.Module):
    """T5's bias of a score by the distance of key and query (Raffel et al. 2020, section 2.1).

    Half of the buckets are single distances, the other half logarithmically growing ranges up to `farthest`; larger
    distances are in the last bucket. An encoder (`both_ways`) uses half of them for each direction.
    """

    def __init__(self, heads: int, buckets: int, farthest: int, *, both_ways: bool) -> None:
        super().__init__()
        self.buckets, self.farthest, self.both_ways = buckets, farthest, both_ways
        self.table = nn.Embedding(buckets, heads)

    def forward(self, queries_T: Tensor, keys_S: Tensor) -> Tensor:
        """Positions [T] and [S] → [H, T, S]; [B, T] and [B, S] → [B, H, T, S]."""
        distance = keys_S[..., None, :] - queries_T[..., :, None]
        bias: Tensor = self.table(bucket(distance, self.buckets, self.farthest, self.both_ways))
        return bias.movedim(-1, -3)


def bucket(distance: Tensor, buckets: int, farthest: int, both_ways: bool) -> Tensor:
    """The bucket, int in 0..buckets-1, of each distance (key position − query position)."""
    start = torch.zeros_like(distance)
    if both_ways:
        buckets //= 2
        start = (distance > 0) * buckets
        distance = distance.abs()
    else:
        distance = (-distance).clamp(min=0)
    exact = buckets // 2
    # log(0) is never used: distances below `exact` have a bucket of their own
    ratio = torch.log(distance.clamp(min=1).float() / exact) / math.log(farthest / exact)
    far = exact + (ratio * (buckets - exact)).long()
    return start + torch.where(distance < exact, distance, far.clamp(max=buckets - 1))
