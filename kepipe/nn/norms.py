"""Norms that torch lacks."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class UnbiasedNorm(nn.Module):
    """w · (x − mean) / (deviation + ε) + b with the deviation over n − 1, as in the release of K-BERT (UER).

    BERT's LayerNorm divides by √(variance + ε) with the variance over n (Ba et al. 2016, eq. 4).
    """

    def __init__(self, width: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """[…, width] → the same."""
        deviation, mean = torch.std_mean(x, dim=-1, keepdim=True)
        out: Tensor = self.weight * (x - mean) / (deviation + self.eps) + self.bias
        return out
