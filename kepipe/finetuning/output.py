"""What a task's output is: what is learned and answered from its rows. `label_output.py` is that of labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from kepipe.finetuning.examples import Example
from kepipe.finetuning.generation_settings import GenerationSettings
from kepipe.finetuning.rows import Reads, Row
from kepipe.finetuning.splits import Splits

if TYPE_CHECKING:
    from torch import nn

    from kepipe.arrays import Floats
    from kepipe.data.batch import Batch
    from kepipe.finetuning.task_model import TaskModel
    from kepipe.models.protocols import TrainableEncoder
    from kepipe.tokenization.tokenizer import Tokenizer
    from kepipe.training.criterion import Criterion

Answer = Any
"""What a model answers to an example, of the type that the task's output says."""
RowAnswer = Any
"""What a model answers to a row, before the rows of one example are put together."""
Labels = Sequence[str]
"""What answers are chosen from; empty where they are free text."""
Decoding = Literal["independent", "valid", "crf"]
"""How the labels of a sentence's words are chosen: each by itself; the likeliest of the sequences that spell spans; by
a layer that learns which label follows which (a conditional random field)."""


@dataclass(frozen=True)
class AnswerFormat:
    """How a model's answers look, known before the first row.

    `labels`: what answers are chosen from. `start`: the token that a decoder reads before it writes. `reads`,
    `tokens_per_case`: which tokens a head reads, and how many for one answer. `mean`: whether it reads the mean of the
    row instead. `causal`: a decoder, whose answer follows the text. `generation`: of answers that are written.
    `decoding`: of labels of words.
    """

    tokenizer: Tokenizer
    labels: Labels
    start: int
    reads: Reads
    tokens_per_case: int = 1
    mean: bool = False
    causal: bool = False
    generation: GenerationSettings | None = None
    decoding: Decoding = "independent"


@dataclass(frozen=True)
class LossSettings:
    """What a task's loss is told. `label_smoothing`: the share of each true label that goes to all alike. `weights`:
    what a case of each label counts, float [L], see `class_weights`; None: all alike."""

    label_smoothing: float = 0.0
    weights: Floats | None = None


PLAIN_LOSS = LossSettings()


class TaskOutput(Protocol):
    """What a task's row asks of a model: labels, text. The same in training, measuring and prediction."""

    def labels(self, splits: Splits) -> tuple[str, ...]:
        """What answers are chosen from, by the data. Raises ValueError where there is nothing to learn."""
        ...

    def encode(self, rows: Sequence[Row], examples: Sequence[Example], answers: AnswerFormat) -> list[Row]:
        """The rows with the true answers as `Row.labels`. `examples`: that of each row."""
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

    def criterion(self, answers: AnswerFormat, loss: LossSettings) -> Criterion:
        """The loss of a `TaskModel`."""
        ...

    def answers(self, model: TaskModel[Any], batch: Batch, answers: AnswerFormat) -> list[RowAnswer]:
        """One of each row of a batch that `collate` made. The model is in evaluation mode."""
        ...

    def merge(
        self, model: TaskModel[Any], parts: Sequence[RowAnswer], rows: Sequence[Row], answers: AnswerFormat
    ) -> Answer:
        """The answer to an example from those to its rows: one, or the windows of a long text in order."""
        ...


@runtime_checkable
class Calibrates(Protocol):
    """An output whose probabilities, or whose threshold, can be fitted on examples that were not trained on."""

    def calibrate(
        self,
        model: TaskModel[Any],
        parts: Sequence[Sequence[RowAnswer]],
        rows: Sequence[Sequence[Row]],
        examples: Sequence[Example],
        answers: AnswerFormat,
    ) -> dict[str, float]:
        """Change the weights of the head so; what was fitted, by name. `parts`, `rows`: of each example."""
        ...
