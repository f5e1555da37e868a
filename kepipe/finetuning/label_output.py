"""Labels as a task's output: a head over some of a row's tokens gives each case one of them, or several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kepipe.arrays import Floats, Ints
from kepipe.finetuning.examples import Example
from kepipe.finetuning.output import AnswerFormat, Labels
from kepipe.finetuning.rows import Row
from kepipe.finetuning.splits import Splits

if TYPE_CHECKING:
    from kepipe.data.batch import Batch
    from kepipe.finetuning.heads import LabelCriterion, LabelHead
    from kepipe.finetuning.task_model import TaskModel
    from kepipe.models.protocols import TrainableEncoder

LabelKind = Literal["one", "several"]
"""One label of each case (softmax), or several (a sigmoid for each label)."""


@dataclass(frozen=True)
class LabelOutput:
    """A `TaskOutput`. A row is a case, or where words are read each of its words; an answer holds the probabilities of
    a row's cases, float [cases, L]."""

    kind: LabelKind

    def labels(self, splits: Splits) -> tuple[str, ...]:
        """All labels in order. One that only the test has is in it too: it is part of what the task asks."""
        found = tuple(sorted({label for examples in splits.values() for e in examples for label in e.labels}))
        if len(found) < 2:
            raise ValueError(f"the data has one label, {found}: there is nothing to learn")
        return found

    def encode(self, rows: Sequence[Row], examples: Sequence[Example], answers: AnswerFormat) -> list[Row]:
        """Labels as numbers; where words are read, those of the words that are."""
        numbers = {label: number for number, label in enumerate(answers.labels)}

        def labels(row: Row, example: Example) -> Sequence[str]:
            if answers.reads != "words" or not example.labels:
                return example.labels
            return [example.labels[word] for word in row.read_words]

        return [
            replace(row, labels=tuple(numbers[label] for label in labels(row, example)))
            for row, example in zip(rows, examples, strict=True)
        ]

    def collate(self, batch: Batch, rows: Sequence[Row], answers: AnswerFormat) -> Batch:
        """See `read_positions`."""
        from kepipe.finetuning.read_positions import add_read_positions

        return add_read_positions(batch, rows, answers, several=self.kind == "several")

    def head(
        self, model: TrainableEncoder, answers: AnswerFormat, *, dropout: float = 0.0, seed: int = 0
    ) -> LabelHead:
        """A linear layer."""
        from kepipe.finetuning import heads

        head = heads.LabelHead(
            model.hidden_size,
            answers.tokens_per_case,
            len(answers.labels),
            mean=answers.mean,
            dropout=dropout,
        )
        return heads.initialise(head, seed)

    def criterion(self, label_smoothing: float = 0.0) -> LabelCriterion:
        """The mean over cases."""
        from kepipe.finetuning.heads import LabelCriterion

        return LabelCriterion(self.kind == "several", label_smoothing)

    def answers(
        self, model: TaskModel[TrainableEncoder], batch: Batch, answers: AnswerFormat
    ) -> list[Floats]:
        """The probabilities of each row's cases, float [cases, L]."""
        from kepipe.finetuning import heads
        from kepipe.finetuning.read_positions import cases_of

        probable_NL = heads.probabilities(model(batch), several=self.kind == "several")
        cases_B = cases_of(batch, answers)
        found: list[Floats] = np.split(probable_NL.cpu().double().numpy(), np.cumsum(cases_B)[:-1])
        return found


ONE_LABEL = LabelOutput("one")
SEVERAL_LABELS = LabelOutput("several")


def best_label(_example: Example, probabilities_NL: Floats, labels: Labels) -> dict[str, Any]:
    """The likeliest label of the one case, and its probability."""
    best = int(probabilities_NL[0].argmax())
    return {"predicted": labels[best], "probability": rounded(probabilities_NL[0, best])}


def likeliest(answers: Sequence[Floats]) -> Ints:
    """The likeliest label of each example that has one case, as its number."""
    rows: Ints = np.concatenate(answers).argmax(axis=1)
    return rows


def label_numbers(examples: Sequence[Example], labels: Labels) -> Ints:
    """The label of each example as its number among the labels."""
    numbers = {label: number for number, label in enumerate(labels)}
    return np.array([numbers[example.labels[0]] for example in examples], np.int64)


def rounded(probability: Any) -> float:
    """A probability as it is told."""
    return round(float(probability), 6)
