"""XLNet (Yang et al. 2019) and Transformer-XL (Dai et al. 2019): attention by relative positions over the tokens of a
row and a memory of previous rows, in one stream or in two.

Legend: B rows, T tokens, U queries, M memory slots, L layers, D hidden.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kepipe.data.batch import Batch
from kepipe.models.networks.network import ReadingNetwork, State, tied_head
from kepipe.models.networks.xlnet_config import XLNetConfig
from kepipe.models.networks.xlnet_masks import ORDER, RowMasks
from kepipe.nn.feedforward import ACTIVATIONS, FeedForward
from kepipe.nn.gather import pick, slots, to_device
from kepipe.nn.relative_attention import RelativeAttention, RelativeMask

DEVIATION = 0.02
"""Standard deviation of initial weights (Yang et al. 2019, code)."""
PUBLISHED_WIDTH = 768
"""Width of the base model. Narrower layers have larger initial weights (`kepipe.models.assemble`)."""


class XLNetLayer(nn.Module):
    """Attention and feed-forward, each with a residual connection followed by a norm (post-norm)."""

    def __init__(self, config: XLNetConfig) -> None:
        super().__init__()
        width = config.hidden // config.heads
        self.attention = RelativeAttention(config.hidden, config.heads, width, config.dropout)
        self.attention_norm = nn.LayerNorm(config.hidden, eps=config.norm_eps)
        self.mlp = FeedForward(config.hidden, config.feedforward, ACTIVATIONS[config.activation])
        self.mlp_norm = nn.LayerNorm(config.hidden, eps=config.norm_eps)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x_BKD: Tensor, streams: Sequence[tuple[Tensor, RelativeMask]]) -> list[Tensor]:
        """The streams, [B, Q, D] each, after the layer; they attend to `x_BKD`, memory and tokens."""
        keys_BHKW, values_BHKW = self.attention.keys_and_values(x_BKD)
        found = []
        for stream_BQD, mask in streams:
            seen_BQD = self.attention(stream_BQD, keys_BHKW, values_BHKW, mask)
            normed_BQD = self.attention_norm(self.dropout(seen_BQD) + stream_BQD)
            found.append(self.mlp_norm(self.dropout(self.mlp(normed_BQD)) + normed_BQD))
        return found


class XLNet(ReadingNetwork):
    """Two-stream attention (Yang et al. 2019, §2.3): the content stream sees each token itself; the query stream, at
    tokens to predict, only the tokens before them in the order. Transformer-XL has only the content stream, left to
    right."""

    config: XLNetConfig

    def __init__(self, config: XLNetConfig) -> None:
        super().__init__(config, tied_head(config))
        self.query = None if config.causal_attention else nn.Parameter(torch.zeros(config.hidden))
        """The query stream's initial vector, the same at each token."""
        layers = [XLNetLayer(config) for _ in range(config.layers)]
        self.layers: Sequence[XLNetLayer] = nn.ModuleList(layers)  # type: ignore[assignment]

    def forward(self, batch: Batch, places_N: Tensor | None = None) -> Tensor:
        """Hidden states [B, T, D], or [N, D] at places among the B·T: of the query stream if the batch has an order of
        prediction (`ORDER`), else of the content stream.

        Reads the memory in `Batch.state`, and replaces it with the memory for the next batch.
        """
        order_BT = batch.extra.get(ORDER)
        if order_BT is None or places_N is None:
            states_BTD = self._read_batch(batch, order_BT)[0]
            return states_BTD if places_N is None else pick(states_BTD, places_N)
        rows, length = batch.tokens.shape
        places_BU, slot_N, _ = slots(places_N // length, places_N % length, rows)
        places_BU = to_device(places_BU, order_BT.device)
        queries_BUD = self._read_batch(batch, order_BT, places_BU)[1]
        assert queries_BUD is not None
        return pick(queries_BUD, slot_N)

    def states(self, batch: Batch, all_states: list[Tensor] | None = None) -> Tensor:
        """See `Network`: those of the content stream, the first of them the embeddings."""
        return self._read_batch(batch, None, all_states=all_states)[0]

    @property
    def num_states(self) -> int:
        """See `LayerStates`."""
        return len(self.layers) + 1

    def read(
        self, tokens_BT: Tensor, lengths_B: Tensor | None = None, state: State | None = None
    ) -> tuple[Tensor, State]:
        """See `ReadingNetwork`. XLNet's states are those of queries at the positions right of the tokens, in
        left-to-right order. The state is a memory of all tokens so far."""
        rows, length = tokens_BT.shape
        at_T = torch.arange(length, device=tokens_BT.device)
        not_padding_BT = (
            torch.ones_like(tokens_BT, dtype=torch.bool) if lengths_B is None else at_T < lengths_B[:, None]
        )
        memory = self._no_memory(rows) if state is None else (state[0], state[1])
        order_BT = None if self.query is None else at_T.expand(rows, -1)
        places_BU = None if order_BT is None else order_BT + 1
        masks = self._masks(not_padding_BT, memory[1], order_BT)
        content_BTD, queries_BUD, inputs_BLTD = self._run(tokens_BT, masks, memory[0], places_BU, places_BU)
        keep = memory[1].shape[1] + length
        after = remember(memory, inputs_BLTD, not_padding_BT, keep)
        return content_BTD if queries_BUD is None else queries_BUD, after

    def layer_modules(self) -> list[nn.Module]:
        """See `TrainableModel`."""
        return [*self.layers]

    def partially_used_parameters(self) -> list[nn.Parameter]:
        """See `TrainableModel`: the segment parameters, and the query stream's initial vector."""
        of_segments = [
            of for layer in self.layers for of in (layer.attention.segments, layer.attention.segment_query)
        ]
        return of_segments if self.query is None else [*of_segments, self.query]

    def draw(self, name: str, weight: Tensor, generator: torch.Generator) -> None:
        """All normal, except norms and biases (Yang et al. 2019, code)."""
        if "_norm." in name or name.endswith(".bias"):
            weight.fill_(1.0 if name.endswith("norm.weight") else 0.0)
            return
        wide = max(1.0, PUBLISHED_WIDTH / self.config.hidden) ** 0.5 if name.startswith("layers.") else 1.0
        weight.normal_(0.0, DEVIATION * wide, generator=generator)

    def _read_batch(
        self,
        batch: Batch,
        order_BT: Tensor | None,
        places_BU: Tensor | None = None,
        all_states: list[Tensor] | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Content [B, T, D] and queries [B, U, D] of a batch, with the memory in its state."""
        not_padding_BT, state = batch.documents > 0, batch.state
        memory = self._no_memory(not_padding_BT.shape[0])
        if state:
            memory = state["memory"], state["present"]
        masks = self._masks(not_padding_BT, memory[1], order_BT, batch.segments, batch.from_right)
        numbers_BU = None
        if places_BU is not None:
            assert order_BT is not None
            numbers_BU = order_BT.gather(1, places_BU)
        content_BTD, queries_BUD, inputs_BLTD = self._run(
            batch.tokens, masks, memory[0], places_BU, numbers_BU, all_states
        )
        if state is not None and self.config.memory:
            reused_BT = not_padding_BT
            if self.config.reuse:
                reused_BT = not_padding_BT & (
                    torch.arange(not_padding_BT.shape[1], device=not_padding_BT.device) < self.config.reuse
                )
            state["memory"], state["present"] = remember(memory, inputs_BLTD, reused_BT, self.config.memory)
        return content_BTD, queries_BUD

    def _run(
        self,
        tokens_BT: Tensor,
        masks: RowMasks,
        memory_BLMD: Tensor,
        places_BU: Tensor | None,
        numbers_BU: Tensor | None,
        all_states: list[Tensor] | None = None,
    ) -> tuple[Tensor, Tensor | None, Tensor]:
        """Content [B, T, D], queries [B, U, D] at the given places and numbers in the order, and the inputs of the
        layers of the content stream, [B, L, T, D]. With queries, the content is that before the last layer."""
        width = self.config.hidden
        content = self._dropped(masks.content_mask(width))
        content_BTD = self.dropout(self.tokens(tokens_BT))
        queries = queries_BUD = None
        if places_BU is not None and self.query is not None:
            assert numbers_BU is not None
            queries = masks.query_mask(width, places_BU, numbers_BU)._replace(positions=content.positions)
            queries_BUD = self.dropout(self.query.expand(*places_BU.shape, -1))
        inputs = []
        for number, layer in enumerate(self.layers):
            if all_states is not None:
                all_states.append(content_BTD)
            inputs.append(content_BTD.detach())
            x_BKD = torch.cat([memory_BLMD[:, number].to(content_BTD.dtype), content_BTD], 1)
            streams = []
            if queries is None or number + 1 < len(self.layers):
                streams.append((content_BTD, content))
            if queries is not None and queries_BUD is not None:
                streams.append((queries_BUD, queries))
            after = layer(x_BKD, streams)
            content_BTD = after[0] if streams[0][1] is content else content_BTD
            queries_BUD = None if queries is None else after[-1]
        last = self.dropout(content_BTD) if queries_BUD is None else content_BTD
        if all_states is not None:
            all_states.append(last)
        return last, None if queries_BUD is None else self.dropout(queries_BUD), torch.stack(inputs, 1)

    def _dropped(self, mask: RelativeMask) -> RelativeMask:
        return mask._replace(positions=self.dropout(mask.positions))

    def _masks(
        self,
        not_padding_BT: Tensor,
        present_BM: Tensor,
        order_BT: Tensor | None,
        segments_BT: Tensor | None = None,
        from_right_B: Tensor | None = None,
    ) -> RowMasks:
        config = self.config
        return RowMasks(
            not_padding_BT,
            present_BM,
            order_BT,
            segments_BT,
            from_right_B if from_right_B is not None and bool(from_right_B.any()) else None,
            causal=config.causal_attention,
            same_length=config.same_length,
            clamp=config.clamp,
        )

    def _no_memory(self, rows: int) -> tuple[Tensor, Tensor]:
        weight = self.tokens.weight
        memory_BLMD = weight.new_zeros(rows, self.config.layers, 0, self.config.hidden)
        return memory_BLMD, torch.zeros(rows, 0, dtype=torch.bool, device=weight.device)


def remember(
    memory: tuple[Tensor, Tensor], inputs_BLTD: Tensor, kept_BT: Tensor, size: int
) -> tuple[Tensor, Tensor]:
    """The memory after a row: the last `size` slots of the previous memory and the tokens `kept_BT`, a prefix of each
    row, aligned to the right; [B, L, size, D], and which slots are filled, bool [B, size].

    `memory`: the previous one, [B, L, M, D] and [B, M].
    """
    before_BLMD, present_BM = memory
    lacking = max(0, size - before_BLMD.shape[2])
    empty_BLED = before_BLMD.new_zeros(*before_BLMD.shape[:2], lacking, before_BLMD.shape[3])
    all_BLKD = torch.cat([empty_BLED, before_BLMD.to(inputs_BLTD.dtype), inputs_BLTD], 2)
    present_BK = torch.cat([present_BM.new_zeros(present_BM.shape[0], lacking), present_BM, kept_BT], 1)
    first_B1 = lacking + before_BLMD.shape[2] - size + kept_BT.sum(1, keepdim=True)
    place_BS = first_B1 + torch.arange(size, device=first_B1.device)
    at_BLSD = place_BS[:, None, :, None].expand(-1, all_BLKD.shape[1], -1, all_BLKD.shape[3])
    return all_BLKD.gather(2, at_BLSD).detach(), present_BK.gather(1, place_BS)
