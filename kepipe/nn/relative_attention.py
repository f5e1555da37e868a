"""Attention with relative positions, over a memory and the tokens that follow it (Dai et al. 2019; Yang et al. 2019).

Legend: B rows, Q queries, M positions of the memory, K = M + T keys, P relative positions, H heads, W their width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn


class RelativeMask(NamedTuple):
    """The mask and the relative positions of the queries of a stream.

    `visible`: bool [B or 1, Q, K]. `positions`: encodings of the P distances between queries and keys, the largest
    first, [1, P, D]; or [2, P, D] if rows with `from_right` 1, int [B], have separate distances. `segments`: whether
    query and key have different segments, bool [B, Q, K]; None: there is one segment. `columns`: the index of each
    key's distance, int [B, Q, K], if the queries are not all tokens in order (`relative_shift`).
    """

    visible: Tensor
    positions: Tensor
    from_right: Tensor | None = None
    segments: Tensor | None = None
    columns: Tensor | None = None


def position_encodings(distances_P: Tensor, width: int) -> Tensor:
    """sin and cos of each distance times 10000^(−2k/D), side by side: float [P, D] (Dai et al. 2019, §3.3)."""
    frequency_F = 10_000.0 ** -(torch.arange(0, width, 2, device=distances_P.device).float() / width)
    angles_PF = distances_P.float()[:, None] * frequency_F
    return torch.cat([angles_PF.sin(), angles_PF.cos()], -1)


def relative_shift(x_BHQP: Tensor, keys: int) -> Tensor:
    """Convert scores by distance to scores by key, [B, H, Q, K], without a loop (Dai et al. 2019, appendix B).

    Column p of query i belongs to the key at position p − Q + i: each row is shifted to the left by one column less
    than the previous row, which is achieved by reshaping to rows with one element less.
    """
    rows, heads, queries, places = x_BHQP.shape
    shifted = x_BHQP.reshape(rows, heads, places, queries)[:, :, 1:]
    return shifted.reshape(rows, heads, queries, places - 1)[..., :keys]


class RelativeAttention(nn.Module):
    """softmax over keys of ((q + u)·k + (q + v)·r + (q + w)·s) / √W, times values, projected.

    r is the encoded distance between query and key (Dai et al. 2019, §3.3); s that of "same segment" or "other segment"
    (Yang et al. 2019, §2.5). u, v and w are query biases, which do not depend on the query's position.
    """

    def __init__(self, hidden: int, heads: int, width: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.width = heads, width
        inner = heads * width
        self.query, self.key, self.value, self.position = (
            nn.Linear(hidden, inner, bias=False) for _ in range(4)
        )
        self.output = nn.Linear(inner, hidden, bias=False)
        self.content_query, self.position_query, self.segment_query = (
            nn.Parameter(torch.zeros(inner)) for _ in range(3)
        )
        self.segments = nn.Parameter(torch.zeros(2, heads, width))
        self.dropout = nn.Dropout(dropout)

    def keys_and_values(self, x_BKD: Tensor) -> tuple[Tensor, Tensor]:
        """Keys and values shared by both streams: [B, H, K, W] each."""
        return self._split(self.key(x_BKD)), self._split(self.value(x_BKD))

    def forward(self, x_BQD: Tensor, keys_BHKW: Tensor, values_BHKW: Tensor, mask: RelativeMask) -> Tensor:
        """[B, Q, D]; 0, before the projection, for a query without a visible key."""
        query_BQI = self.query(x_BQD)
        content_BHQW, position_BHQW, segment_BHQW = (
            self._split(query_BQI + bias_I)
            for bias_I in (self.content_query, self.position_query, self.segment_query)
        )
        scores_BHQK = content_BHQW @ keys_BHKW.transpose(-1, -2)
        r_BHWP = self._split(self.position(mask.positions)).transpose(-1, -2)
        if mask.from_right is not None:
            r_BHWP = r_BHWP[mask.from_right]
        by_distance_BHQP = position_BHQW @ r_BHWP
        if mask.columns is None:
            scores_BHQK = scores_BHQK + relative_shift(by_distance_BHQP, scores_BHQK.shape[-1])
        else:
            columns_BHQK = mask.columns[:, None].expand(-1, self.heads, -1, -1)
            scores_BHQK = scores_BHQK + by_distance_BHQP.gather(3, columns_BHQK)
        if mask.segments is not None:
            by_kind_2BHQ = torch.einsum("bhqw,shw->sbhq", segment_BHQW, self.segments)
            same_BHQ1, other_BHQ1 = by_kind_2BHQ[..., None]
            scores_BHQK = scores_BHQK + torch.where(mask.segments[:, None], other_BHQ1, same_BHQ1)
        visible_BHQK = mask.visible[:, None]
        scores_BHQK = (scores_BHQK * self.width**-0.5).float()
        scores_BHQK = scores_BHQK.masked_fill(~visible_BHQK, torch.finfo(torch.float32).min)
        # fully masked queries have uniform weights until they are zeroed
        shares_BHQK = scores_BHQK.softmax(-1).masked_fill(~visible_BHQK, 0.0)
        found_BHQW = self.dropout(shares_BHQK).to(values_BHKW.dtype) @ values_BHKW
        out_BQD: Tensor = self.output(found_BHQW.transpose(1, 2).flatten(2))
        return out_BQD

    def _split(self, x_BKD: Tensor) -> Tensor:
        return x_BKD.reshape(*x_BKD.shape[:2], self.heads, self.width).transpose(1, 2)
