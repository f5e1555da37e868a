"""What a task's output is: what is learned and answered from its rows. `label_output.py` is that of labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from kepipe.finetuning.examples import Example
from kepipe.finetuning.generation_settings import GenerationSettings
from kepipe.finetuning.rows import Reads, Row
from kepipe.finetuning.splits import Splits

if TYPE_CHECKING:
    from torch import nn

    from kepipe.data.batch import Batch
    from kepipe.finetuning.task_model import TaskModel
    from kepipe.models.protocols import TrainableEncoder
    from kepipe.tokenization.tokenizer import Tokenizer
    from kepipe.training.criterion import Criterion

Answer = Any
"""What a model answers to an example, of the type that the task's output says."""
Labels = Sequence[str]
"""What answers are chosen from; empty where they are free text."""


@dataclass(frozen=True)
class AnswerFormat:
    """How a model's answers look, known before the first row.

    `labels`: what answers are chosen from. `start`: the token that a decoder reads before it writes. `reads`,
    `tokens_per_case`: which tokens a head reads, and how many for one answer. `mean`: whether it reads the mean of the
    row instead. `causal`: a decoder, whose answer follows the text. `generation`: of answers that are written.
    """

    tokenizer: Tokenizer
    labels: Labels
    start: int
    reads: Reads
    tokens_per_case: int = 1
    mean: bool = False
    causal: bool = False
    generation: GenerationSettings | None = None


class TaskOutput(Protocol):
    """What a task's row asks of a model: labels, text. The same in training, measuring and prediction."""

    def labels(self, splits: Splits) -> tuple[str, ...]:
        """What answers are chosen from, by the data. Raises ValueError where there is nothing to learn."""
        ...

    def encode(self, rows: Sequence[Row], examples: Sequence[Example], answers: AnswerFormat) -> list[Row]:
        """The rows with the true answers of their examples as `Row.labels`."""
        ...

    def collate(self, batch: Batch, rows: Sequence[Row], answers: AnswerFormat) -> Batch:
        """The batch of these rows with what the criterion and the answers need, and with labels where the rows have
        them. Knowledge has entered the batch: see `Batch.moved`."""
        ...

    def head(
        self, model: TrainableEncoder, answers: AnswerFormat, *, dropout: float = 0.0, seed: int = 0
    ) -> nn.Module:
        """What is put on the model, before it learns: `head(hidden_BTD, batch)`. One without weights where the model
        has all it takes. Raises ValueError for a model that cannot answer so."""
        ...

    def criterion(self, label_smoothing: float = 0.0) -> Criterion:
        """The loss of a `TaskModel`. `label_smoothing`: the share of each true label that goes to all alike."""
        ...

    def answers(self, model: TaskModel[Any], batch: Batch, answers: AnswerFormat) -> list[Answer]:
        """One of each row of a batch that `collate` made. The model is in evaluation mode."""
        ...
