"""Fusion of tokens and entities: the K-Encoder of ERNIE (Zhang et al. 2019, "ERNIE: Enhanced Language Representation
with Informative Entities", §3.3).

Entity states are computed in slots (`placement.py`); the weights of the tokens are those of a plain layer.
"""

from __future__ import annotations

from torch import Tensor, nn

from kepipe.nn.feedforward import FeedForward
from kepipe.nn.gather import pick
from kepipe.nn.layer import LayerContext, PostNorm
from kepipe.nn.placement import EntityPlacement


class Fusion(nn.Module):
    """Tokens and entities through one hidden layer; it takes the place of a layer's feed-forward part.

    With w a token after attention and e its entity after attention (§3.3, eq. 4; σ is the activation):

        h  = σ(W_t w + W_e e + b)
        w' = LN(W h + b_w + w)
        e' = LN(W' h + b_e + e)

    and for a token without an entity (eq. 5), the plain layer

        h  = σ(W_t w + b)
        w' = LN(W h + b_w + w)

    `part` and `norm` are named as in a plain layer and hold the same weights.
    """

    def __init__(
        self,
        part: FeedForward,
        norm: nn.Module,
        entity_hidden: int,
        entity_norm: nn.Module,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.part, self.norm, self.entity_norm = part, norm, entity_norm
        width = part.up_proj.out_features
        self.entity_up_proj = nn.Linear(entity_hidden, width, bias=False)
        self.entity_down_proj = nn.Linear(width, entity_hidden)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, w_BTD: Tensor, e_BSE: Tensor, placement: EntityPlacement) -> tuple[Tensor, Tensor]:
        """Tokens [B, T, D] and entities [B, S, E] → the same."""
        h_BTF = self.part.up_proj(w_BTD)
        entity_update_BSF = self.entity_up_proj(e_BSE) * placement.used
        # In place: the first part of the sum is not used again, and a copy costs as much as a layer's norm.
        h_BTF.flatten(0, 1).index_add_(0, placement.flat, entity_update_BSF.flatten(0, 1))
        h_BTF = self.part.activation(h_BTF)
        h_BSF = pick(h_BTF, placement.flat).view_as(entity_update_BSF)
        w_BTD = self.norm(w_BTD + self.dropout(self.part.down_proj(h_BTF)))
        e_BSE = self.entity_norm(e_BSE + self.dropout(self.entity_down_proj(h_BSF)))
        return w_BTD, e_BSE


class FusedLayer(nn.Module):
    """Attention of the tokens, attention of the entities, fusion. Without entity attention it is the first fusing
    layer, whose entity states are vectors from a graph."""

    def __init__(self, attention: PostNorm, mlp: Fusion, entity_attention: PostNorm | None = None) -> None:
        super().__init__()
        self.attention, self.entity_attention, self.mlp = attention, entity_attention, mlp

    def forward(
        self, x_BTD: Tensor, layer_context: LayerContext, entity_states: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """[B, T, D] → [B, T, D], and the entity states, [B, S, E]."""
        assert entity_states is not None
        assert layer_context.placement is not None
        x_BTD = self.attention(x_BTD, layer_context.mask, layer_context.cache)
        if self.entity_attention is not None:
            entity_states = self.entity_attention(entity_states, layer_context.placement.mask)
        fused: tuple[Tensor, Tensor] = self.mlp(x_BTD, entity_states, layer_context.placement)
        return fused
