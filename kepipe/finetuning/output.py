"""The interface of a task's output: labels, head, loss and decoding. `label_output.py` implements it for labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from kepipe.finetuning.examples import Example
from kepipe.finetuning.generation_settings import GenerationSettings
from kepipe.finetuning.resources import Resource
from kepipe.finetuning.rows import Reads, Row
from kepipe.finetuning.splits import Splits
from kepipe.models.families import Stacks

if TYPE_CHECKING:
    import numpy as np
    from torch import nn

    from kepipe.arrays import Floats
    from kepipe.data.batch import Batch
    from kepipe.finetuning.task_model import TaskModel
    from kepipe.models.protocols import TrainableEncoder
    from kepipe.tokenization.tokenizer import Tokenizer
    from kepipe.training.criterion import Criterion

Answer = Any
"""The prediction for an example; its type depends on the task's output."""
RowAnswer = Any
"""The prediction for a row, before the rows of an example are merged."""
Labels = Sequence[str]
"""The label set; empty if answers are free text."""
Decoding = Literal["independent", "valid", "crf"]
"""How the labels of a sentence's words are decoded: independently; as the most probable valid label sequence; by a
conditional random field with learned transitions."""


@dataclass(frozen=True)
class AnswerFormat:
    """The format of a model's answers, known before any row is encoded.

    `labels`: the label set. `start`: the decoder's start token. `reads`, `tokens_per_case`: which tokens the head
    reads, and how many per case. `mean`: whether it reads the mean of the row instead. `causal`: a decoder, whose
    answer follows the text. `generation`: settings of generated answers. `decoding`: of word labels. `resource`: the
    task's resource, if it has one. `stacks`: those of a transformer, which determine how it generates answers; None:
    another model. `segments`: the number of segment ids of the model.
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
    resource: Resource | None = None
    stacks: Stacks | None = None
    segments: int = 2


@dataclass(frozen=True)
class LossSettings:
    """Settings of a task's loss. `label_smoothing`: the share of each gold label that is spread over all labels.
    `weights`: label weights, float [L], see `class_weights`; None: equal weights. `teacher_weight`: weight of a
    teacher's probabilities, taken at `temperature`; the labels have the rest. `similarities`: weight of those of its
    hidden states."""

    label_smoothing: float = 0.0
    weights: Floats | None = None
    teacher_weight: float = 0.0
    temperature: float = 1.0
    similarities: float = 0.0


PLAIN_LOSS = LossSettings()


class TaskOutput(Protocol):
    """The output of a task (labels, spans, text, …), the same in training, evaluation and prediction."""

    def labels(self, splits: Splits) -> tuple[str, ...]:
        """The label set of the data. Raises ValueError if there is nothing to learn, such as a single label."""
        ...

    def encode(self, rows: Sequence[Row], examples: Sequence[Example], answers: AnswerFormat) -> list[Row]:
        """The rows with gold labels as `Row.labels`. `examples`: the example of each row."""
        ...

    def collate(self, batch: Batch, rows: Sequence[Row], answers: AnswerFormat) -> Batch:
        """The batch of these rows with the fields that `criterion` and `answers` need, and with labels if the rows have
        them. Knowledge has already been applied: see `Batch.moved`."""
        ...

    def head(
        self, model: TrainableEncoder, answers: AnswerFormat, *, dropout: float = 0.0, seed: int = 0
    ) -> nn.Module:
        """A new head, called as `head(hidden_BTD, batch)`; without weights if the model itself has the output layer.
        Raises ValueError for a model that cannot have this output."""
        ...

    def criterion(self, answers: AnswerFormat, loss: LossSettings) -> Criterion:
        """The loss of a `TaskModel`."""
        ...

    def answers(self, model: TaskModel[Any], batch: Batch, answers: AnswerFormat) -> list[RowAnswer]:
        """The prediction for each row of a batch from `collate`. The model is in evaluation mode."""
        ...

    def merge(
        self, model: TaskModel[Any], parts: Sequence[RowAnswer], rows: Sequence[Row], answers: AnswerFormat
    ) -> Answer:
        """The prediction for an example from those for its rows: one, or the windows of a long text in order."""
        ...


@runtime_checkable
class Calibrates(Protocol):
    """An output whose probabilities or threshold can be calibrated on held-out examples."""

    def calibrate(
        self,
        model: TaskModel[Any],
        parts: Sequence[Sequence[RowAnswer]],
        rows: Sequence[Sequence[Row]],
        examples: Sequence[Example],
        answers: AnswerFormat,
    ) -> dict[str, float]:
        """Calibrate the weights of the head; returns the fitted values by name. `parts`, `rows`: of each example."""
        ...


@runtime_checkable
class Corrupts(Protocol):
    """An output that predicts only a part of the labels of a training batch, which is drawn anew for each step."""

    def corrupt(self, batch: Batch, answers: AnswerFormat, rng: np.random.Generator) -> Batch:
        """A batch from `collate`, as it is trained on."""
        ...
