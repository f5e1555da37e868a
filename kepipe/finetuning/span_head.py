"""The head for span extraction, with logits of start and end tokens, and its loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kepipe.data.batch import Batch
from kepipe.finetuning.task_model import TaskModel
from kepipe.models.protocols import TrainableEncoder

CUT_OFF = -100
"""The label of a row whose answer was cut off because knowledge added tokens: it is ignored by the loss."""


class SpanHead(nn.Module):
    """Logits of each token for the start and the end of the answer. `null_bias`, [1], is added to the score of "no
    answer"; it is fitted after training."""

    def __init__(self, hidden: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(hidden, 2)
        self.null_bias = nn.Parameter(torch.zeros(1), requires_grad=False)

    def forward(self, hidden_BTD: Tensor, batch: Batch) -> Tensor:
        """Logits of the read tokens, [B, R, 2], that of the row's token first; −10⁴ for padding and cut-off tokens."""
        logits_BT2 = self.dense(self.dropout(hidden_BTD)).float()
        places_BR = batch.extra["read"]
        logits_BR2 = logits_BT2.take_along_dim(places_BR.clamp(min=0)[:, :, None], 1)
        read: Tensor = logits_BR2.masked_fill((places_BR < 0)[:, :, None], -1e4)
        return read


@dataclass(frozen=True)
class SpanCriterion:
    """−ln p of the start and of the end token among the read tokens, averaged over both and over rows."""

    terms: tuple[str, ...] = ("task",)
    metrics: tuple[str, ...] = ()

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """The number of rows whose answer was not cut off."""
        assert batch.labels is not None
        return {"task": int((batch.labels[:, 0] != CUT_OFF).sum())}

    def __call__(self, model: TaskModel[TrainableEncoder], batch: Batch) -> dict[str, Tensor]:
        """See `Criterion`."""
        assert batch.labels is not None
        logits_BR2 = model(batch)
        summed = sum(
            F.cross_entropy(
                logits_BR2[..., side], batch.labels[:, side], ignore_index=CUT_OFF, reduction="sum"
            )
            for side in (0, 1)
        )
        number = (batch.labels[:, 0] != CUT_OFF).sum().clamp(min=1)
        return {"task": torch.as_tensor(summed) / (2 * number)}
