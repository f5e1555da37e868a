"""Heads on the last hidden states: the vocabulary, the first token, the next sentence."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kepipe.nn.cross_entropy import summed_cross_entropy
from kepipe.nn.feedforward import Activation


class PredictionTransform(nn.Module):
    """norm(act(W h + b)), BERT's layer before the vocabulary layer; optionally of another `width`."""

    def __init__(
        self, hidden: int, activation: Activation, norm: nn.Module, width: int = 0, *, bias: bool = True
    ) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, width or hidden, bias)
        self.activation = activation
        self.norm = norm

    def forward(self, hidden_ND: Tensor) -> Tensor:
        """[N, D] → [N, D or width]."""
        out_ND: Tensor = self.norm(self.activation(self.dense(hidden_ND)))
        return out_ND


class VocabularyHead(nn.Module):
    """Hidden states → logits. The output matrix is passed in if it is tied to the token embeddings.

    `scale`: T5 with tied weights multiplies the hidden states by D^-½.
    """

    def __init__(
        self,
        *,
        transform: nn.Module | None = None,
        weight: Tensor | None = None,
        bias: int = 0,
        scale: float = 1.0,
    ) -> None:
        super().__init__()
        self.transform = nn.Identity() if transform is None else transform
        self.weight = None if weight is None else nn.Parameter(weight)
        self.bias = nn.Parameter(torch.zeros(bias)) if bias else None
        self.scale = scale

    def forward(self, hidden_ND: Tensor, tied_VD: Tensor) -> Tensor:
        """[N, D] → [N, V]."""
        return F.linear(self._read(hidden_ND), tied_VD if self.weight is None else self.weight, self.bias)

    def loss(self, hidden_ND: Tensor, tied_VD: Tensor, labels_N: Tensor) -> Tensor:
        """The sum over N of the cross-entropy of the logits and the labels, without materialising all logits."""
        weight_VD = tied_VD if self.weight is None else self.weight
        return summed_cross_entropy(self._read(hidden_ND), weight_VD, self.bias, labels_N)

    def _read(self, hidden_ND: Tensor) -> Tensor:
        x_ND: Tensor = self.transform(hidden_ND)
        return x_ND if self.scale == 1.0 else x_ND * self.scale


class Pooler(nn.Module):
    """tanh(W h₀ + b) of the first token."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.dense = nn.Linear(hidden, hidden)

    def forward(self, hidden_BTD: Tensor) -> Tensor:
        """[B, T, D] → [B, D]."""
        return torch.tanh(self.dense(hidden_BTD[:, 0]))


class LabelParts(NamedTuple):
    """Modules that predict labels of rows or tokens: BERT's pooler, its next-sentence head, and a head for each
    pretraining task with labels."""

    pooler: Pooler | None = None
    next_sentence: nn.Linear | None = None
    heads: nn.ModuleDict | None = None


class EntityParts(NamedTuple):
    """Modules of a model with fused entities outside of its stack: a head that scores entities, and the table of entity
    vectors if it is trained."""

    head: PredictionTransform | None = None
    table: nn.Embedding | None = None


NO_LABELS, NO_ENTITIES = LabelParts(), EntityParts()
