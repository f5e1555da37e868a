"""Generation with an encoder that fills masks, as UniLM generates (Dong et al. 2019, §2.5).

The source is read in both directions. A mask is put after it, and replaced by the token that is predicted there; then
the next mask follows. A generated token sees the source and the tokens generated before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kepipe.models.generation import DecodingState, Prompt
from kepipe.models.transformer import Transformer
from kepipe.nn.visibility import Visibility, documents, full

SEGMENTS = {2: (0, 1), 6: (4, 5)}
"""Number of a model's segment ids → those of source and target. With six, each of UniLM's visibilities has its own."""


def segments_of(count: int) -> tuple[int, int]:
    """The segment ids of source and target in a model with `count` of them."""
    return SEGMENTS.get(count, (0, 0) if count < 2 else (0, 1))


@dataclass(frozen=True, kw_only=True)
class MaskedPrompt(Prompt):
    """A source, `tokens` [B, T], for a model that generates at masks. Padding is at the left (see `masked_prompt`), so
    that what is generated follows at once. `mask`: id of the mask. `segments`: those of source and target."""

    mask: int
    segments: tuple[int, int]

    def begin(self, model: Transformer, limit: int) -> MaskedDecodingState:
        """See `Prompt`."""
        return MaskedDecodingState(model, self, limit)


def masked_prompt(
    model: Transformer, source_BT: Tensor, documents_BT: Tensor | None, mask: int
) -> MaskedPrompt:
    """The prompt of an encoder from sources with their special tokens. `documents_BT`: 1 on tokens and 0 on padding at
    the right; None if there is no padding."""
    segments = segments_of(model.config.segments)
    if documents_BT is None:
        return MaskedPrompt(source_BT, mask=mask, segments=segments)
    length = source_BT.shape[1]
    at_BT = torch.arange(length, device=source_BT.device) - length + documents_BT.sum(1, keepdim=True)
    from_BT = at_BT % length
    return MaskedPrompt(
        source_BT.gather(1, from_BT), documents_BT.gather(1, from_BT), mask=mask, segments=segments
    )


class MaskedDecodingState(DecodingState):
    """Incremental decoding with an encoder: `logits` are those at a mask after the tokens so far, [B, V] in fp32.

    Keys and values of source and generated tokens are cached, those of the mask are not: each token costs a step of two
    tokens, itself and the next mask.
    """

    def _begin(self, prompt: Prompt) -> Tensor:
        assert isinstance(prompt, MaskedPrompt)
        self.mask, (self.segment, target) = prompt.mask, prompt.segments
        positions_BT = None
        if prompt.documents is not None:
            positions_BT = (prompt.documents.cumsum(1) - 1).clamp(min=0)
        self._decode(prompt.tokens, positions_BT, full())
        self.segment = target
        return self._at_mask(prompt.tokens[:, :0])

    def append(self, tokens_B: Tensor) -> None:
        """See `DecodingState`."""
        self.logits = self._at_mask(tokens_B[:, None])

    def log_likelihoods(self, tokens_BU: Tensor) -> Tensor:
        """See `DecodingState`; `logits` are updated, except by the last token."""
        found = []
        for place in range(tokens_BU.shape[1]):
            if place:
                self.append(tokens_BU[:, place - 1])
            found.append(self.logits.log_softmax(-1).gather(1, tokens_BU[:, place, None]))
        return torch.cat(found, 1)

    def _at_mask(self, tokens_BU: Tensor) -> Tensor:
        """Append tokens; the logits at a mask after them, which is forgotten, [B, V]."""
        mask_B1 = tokens_BU.new_full((len(tokens_BU), 1), self.mask)
        hidden_BUD = self.follow(torch.cat([tokens_BU, mask_B1], 1))
        self.cache.drop_last()
        if self.documents is not None:
            self.documents = self.documents[:, :-1]
        if self.next_B is not None:
            self.next_B = self.next_B - 1
        return self._read(hidden_BUD[:, -1])

    def _decode(self, tokens_BT: Tensor, positions_BT: Tensor | None, visibility: Visibility) -> Tensor:
        encoder = self.model.encoder
        assert encoder is not None
        if encoder.embeddings.positions is None:
            positions_BT = None  # only distances count, to which padding at the left makes no difference
        if self.documents is not None:
            visibility &= documents(self.documents)
        x_BTD = encoder.embeddings(
            self.model.tokens(tokens_BT),
            positions_BT=positions_BT,
            segments_BT=torch.full_like(tokens_BT, self.segment),
            past=self.cache.length,
        )
        context = self.model.encoder_context(visibility, x_BTD, positions_BT, self.cache)
        hidden_BTD: Tensor = encoder(x_BTD, context)[0]
        self.cache.length += tokens_BT.shape[1]
        return hidden_BTD
