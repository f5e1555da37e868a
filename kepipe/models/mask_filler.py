"""Predictions of masked language models at the blanks of a batch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kepipe.data.batch import Batch
from kepipe.device import native_bfloat16
from kepipe.models.networks.network import Network
from kepipe.models.transformer import Transformer
from kepipe.tokenization.tokenizer import Tokenizer


def fills_masks(model: Transformer) -> bool:
    """Whether the model is encoder-only, as BERT is."""
    return model.encoder is not None and model.decoder is None


def logits_at_blanks(model: Transformer | Network, batch: Batch) -> Tensor:
    """Logits [N, V] in float32 at `batch.label_positions`; the batch is on the model's device.

    The layers run in bfloat16 if the device supports it natively. The vocabulary layer runs in float32: with bfloat16's
    8 bits of precision many logits would tie, and rounding would decide ranks.
    """
    assert batch.label_positions is not None
    device = batch.tokens.device
    with torch.autocast(device.type, torch.bfloat16, enabled=native_bfloat16(str(device))):
        hidden_ND = model(batch, batch.label_positions)
    return model.vocabulary(hidden_ND.float())


@dataclass(frozen=True)
class MaskFiller:
    """A `MaskedLanguageModel`: an encoder-only transformer, or a bidirectional network."""

    model: Transformer | Network
    tokenizer: Tokenizer

    @torch.inference_mode()
    def masked_logits(self, batch: Batch) -> Tensor:
        """See `MaskedLanguageModel.masked_logits`."""
        device = next(self.model.parameters()).device
        return logits_at_blanks(self.model.eval(), batch.to(device))
