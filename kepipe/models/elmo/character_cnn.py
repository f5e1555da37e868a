"""A word's vector from its characters: convolutions, a maximum, highway layers, a projection (Kim et al. 2016)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Highway(nn.Module):
    """g · relu(W x + b) + (1 − g) · x with g = σ(W_g x + b_g) (Srivastava et al. 2015, equation 3)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Linear(width, width)
        self.transform = nn.Linear(width, width)

    def forward(self, x_UD: Tensor) -> Tensor:
        """[U, D] → [U, D]."""
        gate_UD = torch.sigmoid(self.gate(x_UD))
        return gate_UD * torch.relu(self.transform(x_UD)) + (1.0 - gate_UD) * x_UD


class CharacterCNN(nn.Module):
    """Characters → vectors. `filters`: (width in characters, number) of each kind; the maximum is over all positions of
    a word, padding included, as in the published models."""

    def __init__(
        self,
        characters: int,
        width: int,
        filters: Sequence[tuple[int, int]],
        highways: int,
        hidden: int,
        activation: str,
    ) -> None:
        super().__init__()
        self.characters = nn.Embedding(characters, width)
        self.filters = nn.ModuleList(nn.Conv1d(width, number, size) for size, number in filters)
        total = sum(number for _, number in filters)
        self.highways = nn.ModuleList(Highway(total) for _ in range(highways))
        self.projection = nn.Linear(total, hidden) if total != hidden else nn.Identity()
        self.activation = {"relu": torch.relu, "tanh": torch.tanh}[activation]

    def forward(self, characters_UC: Tensor) -> Tensor:
        """int [U, C] → [U, hidden]."""
        embedded_UWC = self.characters(characters_UC).transpose(1, 2)
        pooled = [filters(embedded_UWC).amax(-1) for filters in self.filters]
        words_UD = self.activation(torch.cat(pooled, -1))
        for highway in self.highways:
            words_UD = highway(words_UD)
        projected_UH: Tensor = self.projection(words_UD)
        return projected_UH
