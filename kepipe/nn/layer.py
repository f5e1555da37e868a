"""Layers and stacks of them. Where the norm stands is a part that is passed in, not a flag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from kepipe.nn.attention import Cache, CrossAttention, Mask, SelfAttention
from kepipe.nn.embeddings import Embeddings
from kepipe.nn.positions import RelativeBias
from kepipe.nn.query_positions import Reads

if TYPE_CHECKING:
    from kepipe.nn.fusion import Links


class PostNorm(nn.Module):
    """norm(x + part(x)): Vaswani et al. 2017, BERT, BART."""

    def __init__(self, part: nn.Module, norm: nn.Module, dropout: float = 0.0) -> None:
        super().__init__()
        self.part, self.norm = part, norm
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, x_BTD: Tensor, *context: object, reads: Reads | None = None) -> Tensor:
        """[B, T, D] → [B, T, D]; `context` goes to the part. With `reads`, which go there too, [B, R, D]."""
        made = self.part(x_BTD, *context) if reads is None else self.part(x_BTD, *context, reads)
        out_BTD: Tensor = self.norm(_kept(x_BTD, reads) + self.dropout(made))
        return out_BTD


class PreNorm(nn.Module):
    """x + part(norm(x)): GPT-2, T5. The stack ends with a norm of its own."""

    def __init__(self, part: nn.Module, norm: nn.Module, dropout: float = 0.0) -> None:
        super().__init__()
        self.part, self.norm = part, norm
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, x_BTD: Tensor, *context: object, reads: Reads | None = None) -> Tensor:
        """[B, T, D] → [B, T, D]; `context` goes to the part. With `reads`, which go there too, [B, R, D]."""
        normed = self.norm(x_BTD)
        made = self.part(normed, *context) if reads is None else self.part(normed, *context, reads)
        out_BTD: Tensor = _kept(x_BTD, reads) + self.dropout(made)
        return out_BTD


def _kept(x_BTD: Tensor, reads: Reads | None) -> Tensor:
    """What goes past a part, to be added to what it makes."""
    return x_BTD if reads is None else reads.narrow(x_BTD)


@dataclass(frozen=True)
class Sight:
    """What all layers of a stack look at in a forward pass besides their input. `memory`: [B, S, D].

    `links`: at which tokens the second stream's entities stand. `reads`: at which places alone the last layer
    is read."""

    mask: Mask
    memory: Tensor | None = None
    memory_mask: Mask | None = None
    cache: Cache | None = None
    links: Links | None = None
    reads: Reads | None = None


class Layer(nn.Module):
    """Self-attention, perhaps cross-attention, feed-forward.

    `beside` is a second stream that travels with the tokens through the stack (entities, in a layer that
    fuses them); a plain layer hands it on untouched. Any module of this signature can take a layer's place.
    """

    def __init__(
        self,
        attend: PostNorm | PreNorm,
        feed: PostNorm | PreNorm,
        cross: PostNorm | PreNorm | None = None,
    ) -> None:
        super().__init__()
        self.attend, self.cross, self.feed = attend, cross, feed

    def forward(
        self, x_BTD: Tensor, sight: Sight, beside: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """[B, T, D] → [B, T, D], and the stream beside it."""
        x_BTD = self.attend(x_BTD, sight.mask, sight.cache, reads=sight.reads)
        if self.cross is not None and sight.memory is not None:
            x_BTD = self.cross(x_BTD, sight.memory, sight.memory_mask, sight.cache)
        return self.feed(x_BTD), beside


class Stack(nn.Module):
    """An encoder's or a decoder's embeddings, layers and final norm. `relative` is a position bias all layers share."""

    def __init__(
        self,
        embeddings: Embeddings,
        layers: Sequence[nn.Module],
        *,
        norm: nn.Module | None = None,
        relative: RelativeBias | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.embeddings = embeddings
        self.layers = nn.ModuleList(layers)
        self.norm = nn.Identity() if norm is None else norm
        self.relative = relative
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.recompute = False
        """Gradient checkpointing: keep only the inputs of layers, and run each again in the backward pass."""

    def forward(
        self,
        x_BTD: Tensor,
        sight: Sight,
        *,
        beside: Tensor | None = None,
        each: list[Tensor] | None = None,
        reads: Reads | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Embedded tokens [B, T, D] → [B, T, D]. The input and each layer's output are appended to `each`.

        With `reads`, where the stack `narrows`, [B, R, D].
        """
        recompute = self.recompute and self.training
        for number, layer in enumerate(self.layers, 1):
            if reads is not None and number == len(self.layers):
                sight = replace(sight, mask=sight.mask.at(reads), reads=reads)
            if each is not None:
                each.append(x_BTD)
            if recompute:
                x_BTD, beside = checkpoint(layer, x_BTD, sight, beside, use_reentrant=False)
            else:
                x_BTD, beside = layer(x_BTD, sight, beside)
        x_BTD = self.dropout(self.norm(x_BTD))
        if each is not None:
            each.append(x_BTD)
        return x_BTD, beside

    def narrows(self, mask: Mask) -> bool:
        """Whether the last layer can be worked out at some places alone."""
        return isinstance(self.layers[-1], Layer) and mask.written


def attention_layer(
    norm_place: type[PostNorm] | type[PreNorm],
    norms: list[nn.Module],
    attention: SelfAttention,
    feed: nn.Module,
    cross: CrossAttention | None = None,
    dropout: float = 0.0,
) -> Layer:
    """A layer whose parts all have their norm in the same place; a norm for each part, in the order of use."""
    first, *between, last = norms
    return Layer(
        norm_place(attention, first, dropout),
        norm_place(feed, last, dropout),
        None if cross is None else norm_place(cross, between[0], dropout),
    )
