"""A PyKEEN model as a `Scorer`: scores of all entities as the missing part of a triple."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from kg.arrays import AnyFloats, Ints

NUMBERS_AT_ONCE = 1 << 26
"""Maximum number of values that are computed at once: 256 MB of float32."""


@dataclass(frozen=True)
class PykeenScorer:
    """Distances of a PyKEEN model: the negative of its scores."""

    model: Any
    width: int
    """Dimension of an entity's vector."""

    def tails(self, heads: Ints, relations: Ints) -> AnyFloats:
        return self._negative("score_t", heads, relations)

    def heads(self, relations: Ints, tails: Ints) -> AnyFloats:
        return self._negative("score_h", relations, tails)

    def _negative(self, method: str, first: Ints, second: Ints) -> AnyFloats:
        import torch

        asked = torch.from_numpy(np.stack([first, second], axis=1)).to(self.model.device)
        rows = max(1, NUMBERS_AT_ONCE // (self.model.num_entities * self.width))
        score = getattr(self.model, method)
        with torch.inference_mode():
            scores = [score(asked[begin : begin + rows]) for begin in range(0, len(asked), rows)]
            return np.asarray((-torch.cat(scores)).cpu().numpy())
