"""The one transformer. BERT, RoBERTa, GPT, UniLM, MASS, BART and T5 are choices of its parts (`families.py`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kepipe.arrays import Floats32
from kepipe.data.batch import Batch
from kepipe.models.batch_visibility import decoder_visibility, encoder_visibility, memory_visibility
from kepipe.models.config import TransformerConfig
from kepipe.models.protocols import FlexUse, TrainableEncoder
from kepipe.nn.attention import Cache, Mask, build_mask, has_varlen
from kepipe.nn.gather import pick
from kepipe.nn.heads import NO_ENTITIES, NO_LABELS, EntityParts, LabelParts, VocabularyHead
from kepipe.nn.layer import LayerContext, Stack
from kepipe.nn.placement import EntityPlacement, LinkedEntities, place_entities
from kepipe.nn.query_positions import plan_query_positions
from kepipe.nn.rotary import rotation
from kepipe.nn.visibility import Visibility, nearby


class Transformer(TrainableEncoder):
    """An encoder, a decoder or both over one table of token embeddings, with the heads that read their hidden states.

    Legend: B batch, T tokens, S memory tokens, D hidden, N selected places, V vocabulary.
    `config` is what the parts were built from, for saving.
    """

    config: TransformerConfig
    compiled_on_gpu = True

    def __init__(
        self,
        config: TransformerConfig,
        tokens: nn.Embedding,
        head: VocabularyHead,
        *,
        encoder: Stack | None = None,
        decoder: Stack | None = None,
        label_parts: LabelParts = NO_LABELS,
        entity_parts: EntityParts = NO_ENTITIES,
    ) -> None:
        super().__init__()
        self.config = config
        self.tokens = tokens
        self.encoder, self.decoder = encoder, decoder
        self.head, (self.pooler, self.next_sentence_head, self.label_heads) = head, label_parts
        self.entity_head, self.entity_table = entity_parts
        self.flex: FlexUse = "never"

    def forward(self, batch: Batch, places_N: Tensor | None = None) -> Tensor:
        """Hidden states of the stack that predicts: the decoder if there is one, else the encoder.

        [B, T, D]; with `places_N`, indices into that stack's B·T places, only the states there: [N, D]. `places_N` may
        be on the CPU whatever the device, so that their number per row is known without synchronising.
        """
        if self.encoder is None:
            return _at(self._read(batch), places_N)
        hidden = self._read(batch, places_N=places_N if self.decoder is None else None)
        if self.decoder is None:
            return hidden
        if batch.decoder_tokens is None:
            raise ValueError(f"{self.config.family}: the decoder needs decoder_tokens of the objective")
        decoded_BTD = self.decode_tokens(
            batch.decoder_tokens,
            decoder_visibility(batch),
            memory_BSD=hidden,
            memory_visibility=memory_visibility(batch),
            positions_BT=batch.decoder_positions,
        )
        return _at(decoded_BTD, places_N)

    def encode_tokens(
        self,
        tokens_BT: Tensor,
        visibility: Visibility,
        *,
        positions_BT: Tensor | None = None,
        segments_BT: Tensor | None = None,
        tasks_BT: Tensor | None = None,
        entities: LinkedEntities | None = None,
        all_hidden_states: list[Tensor] | None = None,
        places_N: Tensor | None = None,
    ) -> Tensor:
        """Hidden states [B, T, D] of the encoder, or [N, D] at the places `places_N` among the B·T.

        `entities` are ignored by a model without fusion; a model with fusion treats None as no entities. A list given
        as `all_hidden_states` is filled with the embeddings and each layer's output (the last after the final norm).
        """
        if self.encoder is None:
            raise ValueError(f"{self.config.family}: this model has no encoder; bert, bart and t5 have one")
        x_BTD = self.encoder.embeddings(
            self.tokens(tokens_BT), positions_BT=positions_BT, segments_BT=segments_BT, tasks_BT=tasks_BT
        )
        layer_context = self.encoder_context(visibility, x_BTD, positions_BT)
        placement, entity_states = self._place_entities(tokens_BT, visibility, entities)
        narrow = None
        if places_N is not None and self.encoder.narrows(layer_context.mask):
            narrow = plan_query_positions(places_N, *tokens_BT.shape, few_shapes=self.few_shapes)
            narrow = None if narrow is None else narrow.to(x_BTD.device)
        hidden_BTD: Tensor = self.encoder(
            x_BTD,
            replace(layer_context, placement=placement),
            entity_states=entity_states,
            all_hidden_states=all_hidden_states,
            query_positions=narrow,
        )[0]
        return _at(hidden_BTD, places_N) if narrow is None else narrow.pick(hidden_BTD)

    def decode_tokens(
        self,
        tokens_BT: Tensor,
        visibility: Visibility,
        *,
        memory_BSD: Tensor | None = None,
        memory_visibility: Visibility | None = None,
        positions_BT: Tensor | None = None,
        cache: Cache | None = None,
        all_hidden_states: list[Tensor] | None = None,
    ) -> Tensor:
        """Hidden states [B, T, D] of the decoder. Without `memory_BSD` there is no cross-attention, as in GPT.

        With a `cache`, `tokens_BT` follow the tokens in the cache, and the descriptors of `visibility` cover the whole
        sequence, cached tokens included.
        """
        if self.decoder is None:
            raise ValueError(f"{self.config.family}: this model has no decoder; gpt2, bart and t5 have one")
        past = 0 if cache is None else cache.length
        x_BTD = self.decoder.embeddings(self.tokens(tokens_BT), positions_BT=positions_BT, past=past)
        length = x_BTD.shape[1]
        mask = self._mask(self.decoder, visibility, x_BTD, past + length, past, positions_BT)
        memory_mask = None
        if memory_BSD is not None:
            memory_mask = self._mask(None, memory_visibility or Visibility(), x_BTD, memory_BSD.shape[1])
        layer_context = LayerContext(mask, memory_BSD, memory_mask, cache)
        hidden_BTD: Tensor = self.decoder(x_BTD, layer_context, all_hidden_states=all_hidden_states)[0]
        if cache is not None:
            cache.length += length
        return hidden_BTD

    @property
    def token_embeddings(self) -> nn.Embedding:
        """See `ExtensibleVocabulary`."""
        return self.tokens

    def with_vocabulary(self, size: int) -> Transformer:
        """See `ExtensibleVocabulary`."""
        from kepipe.models.assemble import extend_vocabulary  # it builds what this class is made of

        return extend_vocabulary(self, size)

    @property
    def hidden_size(self) -> int:
        """D."""
        return self.config.hidden

    def encode(self, batch: Batch) -> Tensor:
        """See `Encoder`: the encoder's hidden states where there is an encoder, else the decoder's."""
        return self._read(batch)

    @property
    def num_states(self) -> int:
        """See `LayerStates`."""
        return len(self.stacks[0].layers) + 1

    def encode_layers(self, batch: Batch) -> list[Tensor]:
        """See `LayerStates`: those of the stack that `encode` reads."""
        self._read(batch, all_hidden_states=(states := list[Tensor]()))
        return states

    def _read(self, batch: Batch, **options: Any) -> Tensor:
        """Hidden states of the batch's tokens by the encoder, or where there is none the decoder."""
        visibility, positions_BT = encoder_visibility(batch), batch.positions
        if self.encoder is None:
            return self.decode_tokens(batch.tokens, visibility, positions_BT=positions_BT, **options)
        return self.encode_tokens(
            batch.tokens,
            visibility,
            positions_BT=positions_BT,
            segments_BT=batch.segments,
            tasks_BT=batch.tasks,
            entities=self._linked_entities(batch),
            **options,
        )

    def vocabulary(self, hidden_ND: Tensor) -> Tensor:
        """Logits [N, V] from hidden states."""
        logits_NV: Tensor = self.head(hidden_ND, self.tokens.weight)
        return logits_NV

    def token_loss(self, hidden_ND: Tensor, labels_N: Tensor) -> Tensor:
        """Summed cross-entropy −Σ log p(label), fused with `vocabulary`."""
        return self.head.loss(hidden_ND, self.tokens.weight, labels_N)

    def pool(self, hidden_BTD: Tensor) -> Tensor:
        """BERT's pooled output: a vector per row, [B, D]."""
        if self.pooler is None:
            raise ValueError(
                f"{self.config.family}: this model has no pooler; base: {{family: bert}} has one"
            )
        pooled_BD: Tensor = self.pooler(hidden_BTD)
        return pooled_BD

    def next_sentence(self, hidden_BTD: Tensor) -> Tensor:
        """Logits [B, 2]: column 1 says that the second segment follows the first."""
        if self.next_sentence_head is None:
            raise ValueError(
                f"{self.config.family}: this model has no next-sentence head; base: {{family: bert}} has one"
            )
        logits_B2: Tensor = self.next_sentence_head(self.pool(hidden_BTD))
        return logits_B2

    def entity_vectors(self, batch: Batch) -> Tensor | None:
        """Vectors [M, E] of the batch's entities, row 0 being zeros: from the model's trained table if it has one, else
        the batch's.

        Entities beyond that table were added after training, and have the batch's vectors.
        """
        if self.entity_table is None or batch.entity_rows is None or batch.entity_vectors is None:
            return batch.entity_vectors
        rows_M, weight = batch.entity_rows, self.entity_table.weight
        trained_M1 = ((rows_M >= 0) & (rows_M < len(weight)))[:, None]
        return torch.where(
            trained_M1, F.embedding(rows_M.clamp(0, len(weight) - 1), weight), batch.entity_vectors
        )

    def entity_scores(self, hidden_ND: Tensor, vectors_ME: Tensor) -> Tensor:
        """Logits [N, M]: LN(gelu(W h + b)) · e (Zhang et al. 2019, §3.4, eq. 6)."""
        if self.entity_head is None:
            raise ValueError(f"{self.config.family}: this model fuses no entities")
        return F.linear(self.entity_head(hidden_ND), vectors_ME)

    def trained_entity_vectors(self) -> Floats32 | None:
        """The trained table of entity vectors, float32 [rows, E]; None if the model has none."""
        return None if self.entity_table is None else self.entity_table.weight.detach().float().cpu().numpy()

    def set_gradient_checkpointing(self, on: bool) -> None:
        """See `TrainableModel`: less memory, one more forward pass."""
        for stack in self.stacks:
            stack.recompute = on

    def set_flex_attention(self, use: FlexUse) -> None:
        """See `TrainableModel`: by blocks, or packed rows of 16 bits document by document. Raises ValueError on other
        devices than CUDA, and with attention dropout, which no such kernel has."""
        on, dropout = use != "never", self.config.attention_dropout
        if on and not self.tokens.weight.is_cuda:
            raise ValueError("flex_attention: block masks need a GPU; leave `flex_attention` out")
        if on and dropout:
            raise ValueError(f"flex_attention: block masks need dropout 0, not {dropout}")
        self.flex = use

    def layer_modules(self) -> list[nn.Module]:
        """See `TrainableModel`; equal layers are compiled once."""
        return [layer for stack in self.stacks for layer in stack.layers]

    def partially_used_parameters(self) -> list[nn.Parameter]:
        """See `TrainableModel`."""
        of_labels = (self.pooler, self.next_sentence_head, self.label_heads)
        heads = (*of_labels, self.head, self.entity_head, self.entity_table)
        return [weight for head in heads if head is not None for weight in head.parameters()]

    @property
    def stacks(self) -> list[Stack]:
        """The encoder, the decoder, or both."""
        return [stack for stack in (self.encoder, self.decoder) if stack is not None]

    def encoder_context(
        self, visibility: Visibility, x_BTD: Tensor, positions_BT: Tensor | None, cache: Cache | None = None
    ) -> LayerContext:
        """The encoder's masks and rotary positions, for layers with global and with local attention."""
        past, rotary = 0 if cache is None else cache.length, self.config.rotary
        keys = past + x_BTD.shape[1]
        mask = self._mask(self.encoder, visibility, x_BTD, keys, past, positions_BT)
        if rotary is None:
            return LayerContext(mask, cache=cache)
        positions = torch.arange(past, keys, device=x_BTD.device) if positions_BT is None else positions_BT
        reach, local_mask = rotary.window // 2, mask
        if torch.compiler.is_exporting() or keys > reach + 1:
            local_mask = self._mask(self.encoder, visibility & nearby(reach), x_BTD, keys, past)
        heads, width = self.config.heads, self.config.head_width
        everywhere = rotation(positions, heads, width, rotary.theta)
        here = rotation(positions, heads, width, rotary.local_theta)
        local = LayerContext(local_mask, cache=cache, rotation=here)
        return LayerContext(mask, cache=cache, rotation=everywhere, local=local)

    def _mask(
        self,
        stack: Stack | None,
        visibility: Visibility,
        x_BTD: Tensor,
        keys: int,
        past: int = 0,
        positions_BT: Tensor | None = None,
    ) -> Mask:
        rows, queries, _ = x_BTD.shape
        device, dtype = x_BTD.device, _scores(x_BTD)
        packed = self.flex != "never" and visibility.packed is not None
        relative = None
        if stack is not None and stack.relative is not None:
            at = torch.arange(keys, device=device)
            if positions_BT is None:
                relative = stack.relative(at[past:], at)
            else:
                assert past == 0, "relative positions of one's own and a cache do not go together"
                relative = stack.relative(positions_BT, positions_BT)
        return build_mask(
            visibility,
            (rows, queries, keys),
            device=device,
            dtype=dtype,
            past=past,
            relative_HTS=relative,
            flex=device.type == "cuda" and (self.flex == "always" or packed),
            varlen=packed and has_varlen(device, dtype, self.config.head_width),
        )

    def _linked_entities(self, batch: Batch) -> LinkedEntities | None:
        vectors_ME = self.entity_vectors(batch)
        if batch.entities is None or vectors_ME is None:
            return None
        return LinkedEntities(batch.entities, vectors_ME, batch.host.entities)

    def _place_entities(
        self, tokens_BT: Tensor, visibility: Visibility, entities: LinkedEntities | None
    ) -> tuple[EntityPlacement | None, Tensor | None]:
        """The slots of entities in each row, and their vectors [B, S, E], the layers' second stream."""
        fusion = self.config.fusion
        if fusion is None:
            return None, None
        weight, dtype, few = self.tokens.weight, _scores(self.tokens.weight), self.few_shapes
        if entities is None:
            entities = LinkedEntities(torch.zeros_like(tokens_BT), weight.new_zeros(1, fusion.hidden))
        placement = place_entities(entities.rows, visibility, dtype, entities.known_rows, few_shapes=few)
        return placement, F.embedding(placement.entities, entities.vectors)


def _at(hidden_BTD: Tensor, places_N: Tensor | None) -> Tensor:
    """The states at `places_N`, [N, D]; all states, [B, T, D], if it is None."""
    return hidden_BTD if places_N is None else pick(hidden_BTD, places_N)


def _scores(x: Tensor) -> torch.dtype:
    """The dtype of attention scores for hidden states of the dtype of `x`, under autocast or not."""
    kind = x.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x.dtype
