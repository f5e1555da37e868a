"""Entities fused with tokens: the K-Encoder of ERNIE (Zhang et al. 2019, "ERNIE: Enhanced Language Representation with
Informative Entities", §3.3).

Few tokens carry an entity, so entities are kept apart, in slots: a row has S of them, one for each of its linked
tokens. What concerns entities alone is computed in the slots; the tokens' matrices stay those of a plain layer.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kepipe.nn.attention import Mask
from kepipe.nn.feedforward import FeedForward
from kepipe.nn.gather import flat, pick, slots
from kepipe.nn.layer import PostNorm, Sight
from kepipe.nn.visibility import Visibility


@dataclass(frozen=True)
class Links:
    """Which tokens the slots belong to.

    Slot 0 is each row's first token, whether it has an entity or not: as [CLS] it carries none and gathers
    those of the row. `entities`: int [B, S], the slots' rows in the batch's entity vectors (0: none). `flat`: int
    [B·S], the slots' tokens among the B·T. `used`: bool [B, S, 1]; slots that rows with fewer links do not need
    stand at the first token, add nothing and are seen by nobody. `mask`: which slot sees which.
    """

    entities: Tensor
    flat: Tensor
    used: Tensor
    mask: Mask


def link(entities_BT: Tensor, visibility: Visibility, dtype: torch.dtype) -> Links:
    """The slots of a batch. Entities see one another where their tokens do.

    `dtype` is that of the attention scores.
    """
    rows, length = entities_BT.shape
    device = entities_BT.device
    linked_BT = entities_BT > 0
    linked_BT[:, 0] = True
    b, t = linked_BT.nonzero(as_tuple=True)
    places_BS, _, count_B = slots(b, t, rows)
    used_BS = torch.arange(places_BS.shape[1], device=device) < count_B[:, None]
    seen_BSS = used_BS[:, None, :]
    among_BSS = visibility.among(places_BS)
    if among_BSS is not None:
        seen_BSS = seen_BSS & among_BSS
    bias = torch.zeros((), dtype=dtype, device=device).where(seen_BSS[:, None], torch.finfo(dtype).min)
    return Links(
        entities_BT.gather(1, places_BS) * used_BS,
        flat(places_BS, length),
        used_BS[:, :, None],
        Mask(bias),
    )


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
        width = part.grow.out_features
        self.entity_grow = nn.Linear(entity_hidden, width, bias=False)
        self.entity_shrink = nn.Linear(width, entity_hidden)
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def forward(self, w_BTD: Tensor, e_BSE: Tensor, links: Links) -> tuple[Tensor, Tensor]:
        """Tokens [B, T, D] and entities [B, S, E] → the same."""
        h_BTF = self.part.grow(w_BTD)
        told_BSF = self.entity_grow(e_BSE) * links.used
        # In place: nothing else needs the sum's first part, and a copy costs as much as a layer's norm.
        h_BTF.flatten(0, 1).index_add_(0, links.flat, told_BSF.flatten(0, 1))
        h_BTF = self.part.activation(h_BTF)
        h_BSF = pick(h_BTF, links.flat).view_as(told_BSF)
        w_BTD = self.norm(w_BTD + self.dropout(self.part.shrink(h_BTF)))
        e_BSE = self.entity_norm(e_BSE + self.dropout(self.entity_shrink(h_BSF)))
        return w_BTD, e_BSE


class FusedLayer(nn.Module):
    """Attention of the tokens, attention of the entities, fusion. Without the second it is the layer that comes
    first: vectors from a graph have not met yet, and do so in its fusion."""

    def __init__(self, attend: PostNorm, feed: Fusion, attend_entities: PostNorm | None = None) -> None:
        super().__init__()
        self.attend, self.attend_entities, self.feed = attend, attend_entities, feed

    def forward(
        self, x_BTD: Tensor, sight: Sight, beside: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """[B, T, D] → [B, T, D], and the entities beside it, [B, S, E]."""
        assert beside is not None
        assert sight.links is not None
        x_BTD = self.attend(x_BTD, sight.mask, sight.cache)
        if self.attend_entities is not None:
            beside = self.attend_entities(beside, sight.links.mask)
        fused: tuple[Tensor, Tensor] = self.feed(x_BTD, beside, sight.links)
        return fused
