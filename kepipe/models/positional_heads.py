"""Attention heads that begin by looking at the tokens nearby.

Trained transformers have heads that attend by position alone, to the token before or after (Voita et al. 2019,
"Analyzing Multi-Head Self-Attention", §4.2; Raganato et al. 2020, "Fixed Encoder Self-Attention Patterns"). To find
them is the first and the slowest thing that a model learns to which tokens are hidden: as long as no head tells
neighbours from the rest of a row, what attention brings is the mean of all tokens, and the loss stays at the tokens'
frequencies for hundreds or thousands of updates. Here the heads of the first layer begin so. They are weights like all
others.

Positions are made of F pairs sin(ω i), cos(ω i), and R_o turns each pair by ω o, so that it takes position i to i + o.
With queries R_o p_i and keys p_j a score is Σ_ω cos(ω (i + o − j)): F at j = i + o, and about 0 elsewhere, since the
frequencies ω are drawn from all of 0 to π.

Legend: D hidden, F waves, W = 2 F what a head reads of them, H heads, P positions of the model, T tokens, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor

from kepipe.models.transformer import Transformer
from kepipe.nn.attention import SelfAttention
from kepipe.nn.fusion import FusedLayer
from kepipe.nn.layer import Layer, PreNorm, Stack

SHARPNESS = 6.0
"""Score of the place at which a head looks; others' are about 0."""
SAMPLE = 128
"""Tokens by which the size of what enters the first layer is measured."""


def init_positional_heads(model: Transformer, seed: int) -> None:
    """Initialise the first half of the heads of an encoder's first layer to attend to the tokens 1 before, 1 after, 2
    before, 2 after, and so on. The other heads keep their random weights.

    Learned positions become sinusoids with the norm of the token embeddings to which they are added. Other models are
    not changed: decoders learn to attend to the previous token without help, models with relative positions (T5) learn
    as fast without, and with rotary positions queries and keys contain no positions that could be rotated.
    """
    encoder = model.encoder
    if encoder is not None and encoder.embeddings.positions is not None and model.decoder is None:
        offsets = (sign * distance for distance in count(1) for sign in (-1, 1))
        with torch.no_grad():
            _set_heads(encoder, model.token_embeddings.weight, offsets, torch.Generator().manual_seed(seed))


@dataclass(frozen=True)
class Waves:
    """Positions as F waves."""

    basis: Tensor
    """What spans them: orthonormal, [D, W], W = 2 F."""
    frequencies: Tensor
    """In radians a place, [F]."""

    @classmethod
    def draw(cls, hidden: int, width: int, generator: torch.Generator) -> Waves:
        """As many waves as a head of `width` can read."""
        frequencies = min(width, hidden) // 2
        basis_DW = torch.linalg.qr(torch.randn(hidden, 2 * frequencies, generator=generator)).Q
        return cls(basis_DW, math.pi * torch.rand(frequencies, generator=generator))

    def encode(self, places: int) -> Tensor:
        """Positions 0, 1, …, each with a mean square of 1, [places, D]."""
        angles_PF = torch.arange(places)[:, None] * self.frequencies
        waves_PD = torch.cat([angles_PF.sin(), angles_PF.cos()], 1) @ self.basis.T
        return waves_PD * math.sqrt(len(self.basis) / len(self.frequencies))

    def projection(self, offset: int) -> Tensor:
        """[W, D]: makes of position i what the projection for offset 0 makes of position i + offset."""
        turned_F = self.frequencies * offset
        cos_FF, sin_FF = turned_F.cos().diag(), turned_F.sin().diag()
        turn_WW = torch.cat([torch.cat([cos_FF, sin_FF], 1), torch.cat([-sin_FF, cos_FF], 1)])
        return turn_WW @ self.basis.T


def _set_heads(stack: Stack, tokens_VD: Tensor, offsets: Iterator[int], generator: torch.Generator) -> None:
    layer, positions = stack.layers[0], stack.embeddings.positions
    assert isinstance(layer, (Layer, FusedLayer))
    assert positions is not None
    sublayer, attention = layer.attention, layer.attention.part
    assert isinstance(attention, SelfAttention)
    waves = Waves.draw(tokens_VD.shape[1], attention.width, generator)
    table_PD = positions.table.weight
    size = stack.embeddings.scale * tokens_VD.square().mean().sqrt()
    table_PD.copy_(size * waves.encode(len(table_PD)))

    tokens_TD = tokens_VD[: min(SAMPLE, positions.places)]
    entering_TD = stack.embeddings.eval()(tokens_TD[None])[0]
    stack.embeddings.train()
    if isinstance(sublayer, PreNorm):
        entering_TD = sublayer.norm(entering_TD)
    # Behind embedding and norm a token is share · wave + the rest, and a score scale · (sharpness · share)² · D.
    share = (entering_TD * positions(len(tokens_TD)) / size).mean()
    sharpness = math.sqrt(SHARPNESS / (attention.scale * len(waves.basis))) / share
    qkv_3HWD = attention.qkv.weight.view(3, attention.heads, attention.width, -1)
    width = waves.basis.shape[1]
    for head, offset in zip(range((attention.heads + 1) // 2), offsets, strict=False):
        qkv_3HWD[0, head, :width] = sharpness * waves.projection(offset)
        qkv_3HWD[1, head, :width] = sharpness * waves.projection(0)
