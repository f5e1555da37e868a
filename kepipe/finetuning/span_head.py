"""The head that says of each token whether a span begins or ends with it, and the loss of it."""

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
"""The label of a row whose answer was cut off by what knowledge writes into it: nothing is learned from it."""


class SpanHead(nn.Module):
    """Logits of each token to be the first and the last of the answer. `null_bias`, [1], is fitted afterwards: what is
    added to the score of no answer."""

    def __init__(self, hidden: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.dense = nn.Linear(hidden, 2)
        self.null_bias = nn.Parameter(torch.zeros(1), requires_grad=False)

    def forward(self, hidden_BTD: Tensor, batch: Batch) -> Tensor:
        """Those of the tokens that are read, [B, R, 2], the row's own first; −10⁴ for what is not there."""
        logits_BT2 = self.dense(self.dropout(hidden_BTD)).float()
        places_BR = batch.extra["read"]
        logits_BR2 = logits_BT2.take_along_dim(places_BR.clamp(min=0)[:, :, None], 1)
        read: Tensor = logits_BR2.masked_fill((places_BR < 0)[:, :, None], -1e4)
        return read


@dataclass(frozen=True)
class SpanCriterion:
    """−ln p of the first token and of the last one among those that are read, their mean; over rows."""

    terms: tuple[str, ...] = ("task",)
    metrics: tuple[str, ...] = ()

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """Rows whose answer was not cut off."""
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
