"""The regression head and its loss."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kepipe.data.batch import Batch
from kepipe.finetuning.heads import LabelHead
from kepipe.finetuning.task_model import TaskModel
from kepipe.models.protocols import TrainableEncoder


class NumberHead(LabelHead):
    """A linear layer whose target is scaled to 0..1 between the lowest and the highest number of the training data, so
    that one learning rate suits every scale; these bounds are saved with the weights."""

    def __init__(self, hidden: int, bounds: tuple[float, float], *, mean: bool, dropout: float) -> None:
        super().__init__(hidden, 1, 1, mean=mean, dropout=dropout)
        self.bounds = nn.Parameter(torch.tensor(bounds), requires_grad=False)


@dataclass(frozen=True)
class NumberCriterion:
    """The mean squared error of the scaled numbers (see `NumberHead`)."""

    terms: tuple[str, ...] = ("task",)
    metrics: tuple[str, ...] = ()

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """The number of labelled rows."""
        assert batch.labels is not None
        return {"task": len(batch.labels)}

    def __call__(self, model: TaskModel[TrainableEncoder], batch: Batch) -> dict[str, Tensor]:
        """See `Criterion`."""
        assert batch.labels is not None
        assert isinstance(model.head, NumberHead)
        low, high = model.head.bounds
        return {"task": (model(batch)[:, 0] - (batch.labels - low) / (high - low)).square().mean()}
