"""The head that gives a row a number, and the loss of it."""

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
    """A linear layer whose output 0 is the lowest and 1 the highest number of the training, so that one learning rate
    serves every scale; these two are saved with its weights."""

    def __init__(self, hidden: int, bounds: tuple[float, float], *, mean: bool, dropout: float) -> None:
        super().__init__(hidden, 1, 1, mean=mean, dropout=dropout)
        self.bounds = nn.Parameter(torch.tensor(bounds), requires_grad=False)


@dataclass(frozen=True)
class NumberCriterion:
    """The mean squared error, of numbers between 0 and 1 (see `NumberHead`)."""

    terms: tuple[str, ...] = ("task",)
    metrics: tuple[str, ...] = ()

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """Rows with a number."""
        assert batch.labels is not None
        return {"task": len(batch.labels)}

    def __call__(self, model: TaskModel[TrainableEncoder], batch: Batch) -> dict[str, Tensor]:
        """See `Criterion`."""
        assert batch.labels is not None
        assert isinstance(model.head, NumberHead)
        low, high = model.head.bounds
        return {"task": (model(batch)[:, 0] - (batch.labels - low) / (high - low)).square().mean()}
