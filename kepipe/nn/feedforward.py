"""The feed-forward part of a layer, plain and gated."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn

Activation = Callable[[Tensor], Tensor]

ACTIVATIONS: Mapping[str, Activation] = {
    "gelu": F.gelu,
    "gelu_tanh": partial(F.gelu, approximate="tanh"),
    "relu": F.relu,
}


class FeedForward(nn.Module):
    """W₂ · act(W₁ x + b₁) + b₂."""

    def __init__(self, hidden: int, width: int, activation: Activation, *, bias: bool = True) -> None:
        super().__init__()
        self.activation = activation
        self.up_proj = nn.Linear(hidden, width, bias)
        self.down_proj = nn.Linear(width, hidden, bias)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """[B, T, D] → [B, T, D]."""
        out_BTD: Tensor = self.down_proj(self.activation(self.up_proj(x_BTD)))
        return out_BTD


class GatedFeedForward(nn.Module):
    """W₂ · (act(W₁ x) ⊙ V x) (Shazeer 2020, eq. 6). W₁ and V are one projection."""

    def __init__(self, hidden: int, width: int, activation: Activation, *, bias: bool = False) -> None:
        super().__init__()
        self.activation = activation
        self.up_proj = nn.Linear(hidden, 2 * width, bias)
        self.down_proj = nn.Linear(width, hidden, bias)

    def forward(self, x_BTD: Tensor) -> Tensor:
        """[B, T, D] → [B, T, D]."""
        gate_BTF, value_BTF = self.up_proj(x_BTD).chunk(2, -1)
        out_BTD: Tensor = self.down_proj(self.activation(gate_BTF) * value_BTF)
        return out_BTD
