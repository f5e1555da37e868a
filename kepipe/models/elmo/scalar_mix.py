"""ELMo's task-specific mixture of layers (Peters et al. 2018, equation 1); AllenNLP's ScalarMix."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class ScalarMix(nn.Module):
    """γ · Σ softmax(s)_k · h_k; initially all layers have the same weight."""

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.scalars = nn.Parameter(torch.zeros(layers))
        self.gamma = nn.Parameter(torch.ones(()))

    def forward(self, layers: Sequence[Tensor]) -> Tensor:
        """The mixture of tensors of the same shape."""
        shares_K = torch.softmax(self.scalars, 0)
        mixed: Tensor = self.gamma * sum(share * layer for share, layer in zip(shares_K, layers, strict=True))
        return mixed
