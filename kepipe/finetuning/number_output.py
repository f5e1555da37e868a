"""A number as a task's output: a linear layer over the token that stands for the row, and the squared error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from kepipe.finetuning.examples import Example
from kepipe.finetuning.heads import LabelHead, initialise
from kepipe.finetuning.output import AnswerFormat, LossSettings
from kepipe.finetuning.rows import Row
from kepipe.finetuning.splits import Splits

if TYPE_CHECKING:
    from kepipe.data.batch import Batch
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


@dataclass(frozen=True)
class NumberOutput:
    """A `TaskOutput`; an answer is a float, of windows their mean. Its labels are the lowest and the highest number of
    the training."""

    def labels(self, splits: Splits) -> tuple[str, ...]:
        """Raises ValueError where all numbers are one."""
        numbers = [float(example.gold[0]) for example in splits["train"]]
        if min(numbers) == max(numbers):
            raise ValueError(f"the data has one number, {numbers[0]:g}: there is nothing to learn")
        return repr(min(numbers)), repr(max(numbers))

    def encode(self, rows: Sequence[Row], examples: Sequence[Example], answers: AnswerFormat) -> list[Row]:  # noqa: ARG002
        """The number of each row."""
        return [
            row if example.labels is None else replace(row, labels=(float(example.labels[0]),))
            for row, example in zip(rows, examples, strict=True)
        ]

    def collate(self, batch: Batch, rows: Sequence[Row], answers: AnswerFormat) -> Batch:
        """See `read_positions`."""
        from kepipe.finetuning.read_positions import add_read_positions

        given = [row.labels[0] for row in rows if row.labels is not None]
        read = add_read_positions(batch, [replace(row, labels=None) for row in rows], answers, several=False)
        return replace(read, labels=torch.tensor(given)) if len(given) == len(rows) else read

    def head(
        self, model: TrainableEncoder, answers: AnswerFormat, *, dropout: float = 0.0, seed: int = 0
    ) -> NumberHead:
        """A linear layer."""
        low, high = map(float, answers.labels)
        return initialise(
            NumberHead(model.hidden_size, (low, high), mean=answers.mean, dropout=dropout), seed
        )

    def criterion(self, answers: AnswerFormat, loss: LossSettings) -> NumberCriterion:  # noqa: ARG002
        """The squared error."""
        return NumberCriterion()

    def answers(
        self,
        model: TaskModel[TrainableEncoder],
        batch: Batch,
        answers: AnswerFormat,  # noqa: ARG002
    ) -> list[float]:
        """The number of each row."""
        assert isinstance(model.head, NumberHead)
        low, high = model.head.bounds.tolist()
        return [low + (high - low) * share for share in model(batch)[:, 0].tolist()]

    def merge(
        self,
        model: TaskModel[TrainableEncoder],  # noqa: ARG002
        parts: Sequence[float],
        rows: Sequence[Row],  # noqa: ARG002
        answers: AnswerFormat,  # noqa: ARG002
    ) -> float:
        """The mean."""
        return sum(parts) / len(parts)
