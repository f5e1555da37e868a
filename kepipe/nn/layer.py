"""Layers and stacks of layers. The placement of norms is a module that is passed in, not a flag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from kepipe.nn.attention import Cache, CrossAttention, Mask, SelfAttention
from kepipe.nn.embeddings import Embeddings
from kepipe.nn.placement import EntityPlacement
from kepipe.nn.positions import RelativeBias
from kepipe.nn.query_positions import QueryPositions
from kepipe.nn.rotary import Rotation


class PostNorm(nn.Module):
    """norm(x + part(x)): Vaswani et al. 2017, BERT, BART."""

    def __init__(self, part: nn.Module, norm: nn.Module, dropout: float = 0.0) -> None:
        super().__init__()
        self.part, self.norm = part, norm
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(
        self, x_BTD: Tensor, *context: object, query_positions: QueryPositions | None = None
    ) -> Tensor:
        """[B, T, D] → [B, T, D]; `context` is passed to the part. With `query_positions`, which are passed as well, [B,
        R, D]."""
        made = (
            self.part(x_BTD, *context)
            if query_positions is None
            else self.part(x_BTD, *context, query_positions)
        )
        out_BTD: Tensor = self.norm(_kept(x_BTD, query_positions) + self.dropout(made))
        return out_BTD


class PreNorm(nn.Module):
    """x + part(norm(x)): GPT-2, T5. The stack ends with an additional norm."""

    def __init__(self, part: nn.Module, norm: nn.Module, dropout: float = 0.0) -> None:
        super().__init__()
        self.part, self.norm = part, norm
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(
        self, x_BTD: Tensor, *context: object, query_positions: QueryPositions | None = None
    ) -> Tensor:
        """[B, T, D] → [B, T, D]; `context` is passed to the part. With `query_positions`, which are passed as well, [B,
        R, D]."""
        normed = self.norm(x_BTD)
        made = (
            self.part(normed, *context)
            if query_positions is None
            else self.part(normed, *context, query_positions)
        )
        out_BTD: Tensor = _kept(x_BTD, query_positions) + self.dropout(made)
        return out_BTD


def _kept(x_BTD: Tensor, query_positions: QueryPositions | None) -> Tensor:
    """The residual, to which the part's output is added."""
    return x_BTD if query_positions is None else query_positions.narrow(x_BTD)


@dataclass(frozen=True)
class LayerContext:
    """Inputs that all layers of a stack share in a forward pass. `memory`: [B, S, D].

    `placement`: the tokens to which the entity states belong. `query_positions`: the positions at which the last
    layer's output is needed. `rotation`: rotary angles of queries and keys. `local`: the context of layers with local
    attention.
    """

    mask: Mask
    memory: Tensor | None = None
    memory_mask: Mask | None = None
    cache: Cache | None = None
    placement: EntityPlacement | None = None
    query_positions: QueryPositions | None = None
    rotation: Rotation | None = None
    local: LayerContext | None = None


class Layer(nn.Module):
    """Self-attention, optionally cross-attention, feed-forward.

    `entity_states` is a second stream through the stack (entities, in a layer that fuses them); a plain layer returns
    it unchanged. Any module with this signature can be used as a layer.
    """

    def __init__(
        self,
        attention: PostNorm | PreNorm,
        mlp: PostNorm | PreNorm,
        cross_attention: PostNorm | PreNorm | None = None,
    ) -> None:
        super().__init__()
        self.attention, self.cross_attention, self.mlp = attention, cross_attention, mlp

    def forward(
        self, x_BTD: Tensor, layer_context: LayerContext, entity_states: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """[B, T, D] → [B, T, D], and the second stream."""
        x_BTD = self.attention(
            x_BTD,
            layer_context.mask,
            layer_context.cache,
            layer_context.rotation,
            query_positions=layer_context.query_positions,
        )
        if self.cross_attention is not None and layer_context.memory is not None:
            x_BTD = self.cross_attention(
                x_BTD, layer_context.memory, layer_context.memory_mask, layer_context.cache
            )
        return self.mlp(x_BTD), entity_states


class Stack(nn.Module):
    """An encoder's or a decoder's embeddings, layers and final norm.

    `relative` is a position bias shared by all layers; `local` are the indices of layers with local attention.
    """

    def __init__(
        self,
        embeddings: Embeddings,
        layers: Sequence[nn.Module],
        *,
        norm: nn.Module | None = None,
        relative: RelativeBias | None = None,
        local: Sequence[int] = (),
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embeddings = embeddings
        self.local = frozenset(local)
        self.layers = nn.ModuleList(layers)
        self.norm = nn.Identity() if norm is None else norm
        self.relative = relative
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.recompute = False
        """Gradient checkpointing: keep only the inputs of layers, and recompute each layer in the backward pass."""

    def forward(
        self,
        x_BTD: Tensor,
        layer_context: LayerContext,
        *,
        entity_states: Tensor | None = None,
        all_hidden_states: list[Tensor] | None = None,
        query_positions: QueryPositions | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Embedded tokens [B, T, D] → [B, T, D]. The input and each layer's output are appended to `all_hidden_states`.

        With `query_positions`, if the stack `narrows`, [B, R, D].
        """
        recompute = self.recompute and self.training
        for number, layer in enumerate(self.layers):
            context = layer_context.local if number in self.local and layer_context.local else layer_context
            if query_positions is not None and number == len(self.layers) - 1:
                context = replace(
                    context, mask=context.mask.at(query_positions), query_positions=query_positions
                )
            if all_hidden_states is not None:
                all_hidden_states.append(x_BTD)
            if recompute:
                x_BTD, entity_states = checkpoint(layer, x_BTD, context, entity_states, use_reentrant=False)
            else:
                x_BTD, entity_states = layer(x_BTD, context, entity_states)
        x_BTD = self.dropout(self.norm(x_BTD))
        if all_hidden_states is not None:
            all_hidden_states.append(x_BTD)
        return x_BTD, entity_states

    def narrows(self, mask: Mask) -> bool:
        """Whether the last layer can be computed at a subset of positions."""
        return isinstance(self.layers[-1], Layer) and mask.is_dense


def attention_layer(
    norm_place: type[PostNorm] | type[PreNorm],
    norms: list[nn.Module],
    attention: SelfAttention,
    mlp: nn.Module,
    cross_attention: CrossAttention | None,
    dropout: float,
) -> Layer:
    """A layer whose norms are all in the same place; a norm for each part, in the order of use."""
    first, *between, last = norms
    return Layer(
        norm_place(attention, first, dropout),
        norm_place(mlp, last, dropout),
        None if cross_attention is None else norm_place(cross_attention, between[0], dropout),
    )
