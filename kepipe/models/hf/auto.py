"""A fused model for users of transformers: importing this registers it with AutoConfig and AutoModel.

import kepipe.models.hf.auto
model = transformers.AutoModel.from_pretrained("the/exported/folder")
model(input_ids, attention_mask, token_type_ids, entities=…, entity_vectors=…).last_hidden_state
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoConfig, AutoModel, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import BaseModelOutputWithPooling

from kepipe.data.batch import Batch
from kepipe.models.assemble import assemble, initialise
from kepipe.models.config import TransformerConfig
from kepipe.models.files import copy_tokenizer
from kepipe.models.transformer import Transformer


class KepipeErnieConfig(PretrainedConfig):  # type: ignore[no-untyped-call]
    """`parts`: `TransformerConfig.to_json`."""

    model_type = "kepipe-ernie"

    def __init__(self, parts: Mapping[str, Any] | None = None, **others: Any) -> None:
        self.parts = dict(parts or {})
        super().__init__(**others)


class KepipeErnieModel(PreTrainedModel):
    """The encoder with its entities, called like an encoder of transformers."""

    config_class = KepipeErnieConfig
    base_model_prefix = "model"

    def __init__(self, config: KepipeErnieConfig) -> None:
        super().__init__(config)
        self.model = initialise(assemble(TransformerConfig.from_json(config.parts)), seed=0)
        self.post_init()  # type: ignore[no-untyped-call]

    def _init_weights(self, module: torch.nn.Module) -> None:
        """Does nothing: the weights are already initialised."""

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        entities: Tensor | None = None,
        entity_vectors: Tensor | None = None,
        **_: Any,
    ) -> BaseModelOutputWithPooling:
        """`entities`: int [B, T], the row in `entity_vectors` [M, E] of the entity whose mention starts at each token,
        0: none; row 0 of the vectors is zeros. Without `entities`, no token has an entity."""
        seen = torch.ones_like(input_ids) if attention_mask is None else attention_mask.long()
        batch = Batch(
            input_ids,
            seen,
            segments=token_type_ids,
            positions=position_ids,
            entities=entities,
            entity_vectors=entity_vectors,
        )
        hidden_BTD = self.model(batch)
        pooled_BD = None if self.model.pooler is None else self.model.pool(hidden_BTD)
        return BaseModelOutputWithPooling(last_hidden_state=hidden_BTD, pooler_output=pooled_BD)


def save(folder: Path, model: Transformer, tokenizer: Path | None = None) -> None:
    """Write a folder that `AutoModel.from_pretrained` opens, with the tokenizer's files.

    Raises ValueError for a model without entities: `kepipe.models.hf.huggingface` saves that as its own family.
    """
    if model.config.fusion is None:
        raise ValueError("this model fuses no entities: save it as a plain model of its family")
    theirs = KepipeErnieModel(KepipeErnieConfig(parts=model.config.to_json()))
    theirs.model.load_state_dict(model.state_dict())
    theirs.save_pretrained(folder)
    if tokenizer is not None:
        copy_tokenizer(tokenizer, folder)


AutoConfig.register(KepipeErnieConfig.model_type, KepipeErnieConfig)
AutoModel.register(KepipeErnieConfig, KepipeErnieModel)
