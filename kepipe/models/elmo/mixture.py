"""A task's own mixture of layers (Peters et al. 2018, equation 1)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Mixture(nn.Module):
    """γ · Σ softmax(s)_k · h_k; the layers count the same at first."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.scalars = nn.Parameter(torch.zeros(layers))
        self.gamma = nn.Parameter(torch.ones(()))

    def forward(self, layers: Sequence[Tensor]) -> Tensor:
        """Tensors of one shape → one of that shape."""
        shares_K = torch.softmax(self.scalars, 0)
        mixed: Tensor = self.gamma * sum(share * layer for share, layer in zip(shares_K, layers, strict=True))
        return mixed
