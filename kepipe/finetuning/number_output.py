"""Regression output: a linear layer over the row's token ([CLS] or the last), with squared error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kepipe.finetuning.examples import Example
from kepipe.finetuning.output import AnswerFormat, LossSettings
from kepipe.finetuning.rows import Row
from kepipe.finetuning.splits import Splits

if TYPE_CHECKING:
    from kepipe.data.batch import Batch
    from kepipe.finetuning.number_head import NumberCriterion, NumberHead
    from kepipe.finetuning.task_model import TaskModel
    from kepipe.models.protocols import TrainableEncoder


@dataclass(frozen=True)
class NumberOutput:
    """A `TaskOutput`; an answer is a float, the mean over windows. Its labels are the lowest and the highest number of
    the training data."""

    def labels(self, splits: Splits) -> tuple[str, ...]:
        """The bounds of the training data. Raises ValueError if all numbers are equal."""
        numbers = [float(example.gold[0]) for example in splits["train"]]
        if min(numbers) == max(numbers):
            raise ValueError(f"all numbers of the data are {numbers[0]:g}: there is nothing to learn")
        return repr(min(numbers)), repr(max(numbers))

    def encode(self, rows: Sequence[Row], examples: Sequence[Example], answers: AnswerFormat) -> list[Row]:  # noqa: ARG002
        """The number of each row."""
        return [
            row if example.labels is None else replace(row, labels=(float(example.labels[0]),))
            for row, example in zip(rows, examples, strict=True)
        ]

    def collate(self, batch: Batch, rows: Sequence[Row], answers: AnswerFormat) -> Batch:
        """See `read_positions`."""
        import torch

        from kepipe.finetuning.read_positions import add_read_positions

        numbers = [row.labels[0] for row in rows if row.labels is not None]
        batch = add_read_positions(batch, [replace(row, labels=None) for row in rows], answers, several=False)
        return replace(batch, labels=torch.tensor(numbers)) if len(numbers) == len(rows) else batch

    def head(
        self, model: TrainableEncoder, answers: AnswerFormat, *, dropout: float = 0.0, seed: int = 0
    ) -> NumberHead:
        """A linear layer."""
        from kepipe.finetuning.heads import initialise
        from kepipe.finetuning.number_head import NumberHead

        low, high = map(float, answers.labels)
        return initialise(
            NumberHead(model.hidden_size, (low, high), mean=answers.mean, dropout=dropout), seed
        )

    def criterion(self, answers: AnswerFormat, loss: LossSettings) -> NumberCriterion:  # noqa: ARG002
        """The squared error."""
        from kepipe.finetuning.number_head import NumberCriterion

        return NumberCriterion()

    def answers(
        self,
        model: TaskModel[TrainableEncoder],
        batch: Batch,
        answers: AnswerFormat,  # noqa: ARG002
    ) -> list[float]:
        """The number of each row."""
        from kepipe.finetuning.number_head import NumberHead

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
