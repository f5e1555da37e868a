"""The cross-entropy of labels of rows or tokens, predicted by one of the model's label heads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch.nn.functional as F
from torch import Tensor

from kepipe.data.batch import Batch
from kepipe.objectives.losses import HiddenCriterion
from kepipe.training.criterion import Losses


class LabellingModel(Protocol):
    """A model with heads for labels: each gives logits [N, L] of hidden states [N, D]."""

    pooler: Any
    label_heads: Any

    def pool(self, hidden_BTD: Tensor) -> Tensor:
        """A vector of each whole row, [B, D]."""
        ...


@dataclass(frozen=True)
class LabelLoss(HiddenCriterion):
    """Term `label`: −ln p of `batch.labels` at `batch.label_positions`, by the label head named `head`; metric
    `accuracy`. `pooled`: whether the places stand for rows, and are passed through the model's pooler if it has one."""

    head: str
    pooled: bool

    @property
    def terms(self) -> tuple[str, ...]:
        """See `Criterion`."""
        return ("label",)

    @property
    def metrics(self) -> tuple[str, ...]:
        """See `Criterion`."""
        return ("accuracy",)

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """See `Criterion`."""
        (places_N,) = self.positions(batch)
        return {"label": len(places_N), "accuracy": len(places_N)}

    def positions(self, batch: Batch) -> tuple[Tensor, ...]:
        """See `HiddenCriterion`."""
        assert batch.label_positions is not None
        return (batch.label_positions,)

    def losses(self, model: LabellingModel, hidden: tuple[Tensor, ...], batch: Batch) -> Losses:
        """See `HiddenCriterion`."""
        (hidden_ND,), labels_N = hidden, batch.labels
        assert labels_N is not None
        if self.pooled and model.pooler is not None:
            hidden_ND = model.pool(hidden_ND[:, None])
        logits_NL = model.label_heads[self.head](hidden_ND).float()
        number = max(1, len(labels_N))
        right_N = logits_NL.detach().argmax(1) == labels_N
        return {
            "label": F.cross_entropy(logits_NL, labels_N, reduction="sum") / number,
            "accuracy": right_N.sum() / number,
        }
