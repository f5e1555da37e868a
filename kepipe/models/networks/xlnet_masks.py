"""Attention masks and relative positions of XLNet and Transformer-XL: over a memory and the tokens of a row, in some
order of prediction, for the content stream and the query stream.

Legend: B rows, T tokens, U queries, M memory slots, K = M + T keys.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kepipe.nn.relative_attention import RelativeMask, position_encodings

ORDER = "order"
"""Key in `Batch.extra` of `RowMasks.order`, with which a batch requests the query stream."""


@dataclass(frozen=True)
class RowMasks:
    """The rows of a batch, from which both streams' masks are made. `not_padding`: bool [B, T]; `present`: bool [B, M],
    filled memory slots; `order`: int [B, T], each token's number in the order of prediction: it sees itself, tokens of
    lower numbers, and context tokens (−1); None: all see all; `segments`: int [B, T]; `from_right`: bool [B], rows that
    are read right to left."""

    not_padding: Tensor
    present: Tensor
    order: Tensor | None = None
    segments: Tensor | None = None
    from_right: Tensor | None = None
    causal: bool = False
    same_length: bool = False
    clamp: int = 0

    @property
    def tokens(self) -> int:
        """T."""
        return self.not_padding.shape[1]

    @property
    def memory(self) -> int:
        """M."""
        return self.present.shape[1]

    def content_mask(self, width: int) -> RelativeMask:
        """The mask of the content stream. `width`: of the distance encodings."""
        device, tokens = self.not_padding.device, self.tokens
        seen_BTT = self.not_padding[:, None, :].expand(-1, tokens, -1)
        if self.order is not None:
            before_BTT = self.order[:, None, :] < self.order[:, :, None]
            seen_BTT = seen_BTT & (before_BTT | (self.order < 0)[:, None, :])
        if self.order is not None or not self.causal:
            seen_BTT = seen_BTT | torch.eye(tokens, dtype=torch.bool, device=device)
        visible_BTK = torch.cat([self.present[:, None].expand(-1, tokens, -1), seen_BTT], 2)
        if self.causal or self.same_length:
            distance_TK = self._distances(torch.arange(tokens, device=device))
            if self.causal:
                visible_BTK = visible_BTK & (distance_TK >= 0)
            if self.same_length:
                visible_BTK = visible_BTK & (distance_TK <= self.memory)
        segments_BTK = None if self.segments is None else self._other_segment(self.segments)
        return RelativeMask(visible_BTK, *self._positions(width), segments_BTK)

    def query_mask(self, width: int, places_BU: Tensor, order_BU: Tensor) -> RelativeMask:
        """The mask of the queries at `places_BU`. `order_BU`: their numbers in the order."""
        assert self.order is not None
        keys_T = torch.arange(self.tokens, device=places_BU.device)
        before_BUT = self.order[:, None, :] < order_BU[..., None]
        seen_BUT = (before_BUT | (self.order < 0)[:, None, :]) & self.not_padding[:, None, :]
        seen_BUT = seen_BUT & (keys_T != places_BU[..., None])
        visible_BUK = torch.cat([self.present[:, None].expand(-1, places_BU.shape[1], -1), seen_BUT], 2)
        if self.same_length:
            visible_BUK = visible_BUK & (self._distances(places_BU) <= self.memory)
        segments_BUK = None
        if self.segments is not None:
            segments_BUK = self._other_segment(self.segments.gather(1, places_BU.clamp(max=self.tokens - 1)))
        # the encoding of distance d has index K − d
        columns_BUK = self.memory + self.tokens - self._distances(places_BU)
        return RelativeMask(visible_BUK, *self._positions(width), segments_BUK, columns_BUK)

    def _distances(self, places: Tensor) -> Tensor:
        """Distances from keys to places, int [..., K]: 1 for the key just left of a place."""
        keys_K = torch.arange(-self.memory, self.tokens, device=places.device)
        return places[..., None] - keys_K

    def _other_segment(self, of_BQ: Tensor) -> Tensor:
        """Whether queries and keys are of different segments, bool [B, Q, K]. The memory is of segment 0 (Yang et al.,
        code)."""
        assert self.segments is not None
        keys_BK = torch.cat([self.segments.new_zeros(self.present.shape), self.segments], 1)
        return of_BQ[..., None] != keys_BK[:, None]

    def _positions(self, width: int) -> tuple[Tensor, Tensor | None]:
        """Encodings of the distances K … −T + 1, or K … 0 if causal; and for each row the index of its encodings, since
        rows read right to left have negated distances; None: all rows share them."""
        device, keys = self.not_padding.device, self.memory + self.tokens
        nearest = 0 if self.causal else 1 - self.tokens
        distances_P = torch.arange(keys, nearest - 1, -1, device=device)
        if self.clamp:
            distances_P = distances_P.clamp(-self.clamp, self.clamp)
        forward_1PD = position_encodings(distances_P, width)[None]
        if self.from_right is None:
            return forward_1PD, None
        return torch.cat([forward_1PD, position_encodings(-distances_P, width)[None]]), self.from_right.long()
