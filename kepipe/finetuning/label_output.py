"""Labels as a task's output: a head over some of a row's tokens gives each case one of them, or several.

Of a text that comes in windows the answer is the mean of their probabilities; of a word, that of the window in which
most stands around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from kepipe.arrays import Floats, Ints
from kepipe.finetuning.calibration import calibration_error, decisions, fit_temperature, gold_labels
from kepipe.finetuning.examples import Example
from kepipe.finetuning.metrics import Metric
from kepipe.finetuning.output import Answer, AnswerFormat, Labels, LossSettings
from kepipe.finetuning.rows import Row
from kepipe.finetuning.splits import Splits
from kepipe.finetuning.windows import words_together

if TYPE_CHECKING:
    from kepipe.data.batch import Batch
    from kepipe.finetuning.heads import LabelHead
    from kepipe.finetuning.task_model import TaskModel
    from kepipe.models.protocols import TrainableEncoder
    from kepipe.training.criterion import Criterion

LabelKind = Literal["one", "several"]
"""One label of each case (softmax), or several (a sigmoid for each label)."""


@dataclass(frozen=True)
class LabelOutput:
    """A `TaskOutput`. A row is a case, or where words are read each of its words; it is answered by logits, float
    [cases, L], and an example by probabilities of its cases, NaN for words that no row reads."""

    kind: LabelKind

    def labels(self, splits: Splits) -> tuple[str, ...]:
        """All labels in order. One that only the test has is in it too: it is part of what the task asks."""
        found = tuple(sorted({label for examples in splits.values() for e in examples for label in e.gold}))
        if len(found) < (2 if self.kind == "one" else 1):
            raise ValueError(f"the data has one label, {found}: there is nothing to learn")
        return found

    def encode(self, rows: Sequence[Row], examples: Sequence[Example], answers: AnswerFormat) -> list[Row]:
        """Labels as numbers; where words are read, those of the words that are."""
        numbers = {label: number for number, label in enumerate(answers.labels)}

        def encoded(row: Row, labels: Sequence[str]) -> Row:
            of_row = [labels[word] for word in row.read_words] if answers.reads == "words" else labels
            return replace(row, labels=tuple(numbers[label] for label in of_row))

        return [
            row if example.labels is None else encoded(row, example.labels)
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

    def criterion(self, answers: AnswerFormat, loss: LossSettings) -> Criterion:  # noqa: ARG002
        """The mean over cases."""
        from kepipe.finetuning.heads import LabelCriterion

        return LabelCriterion(self.kind == "several", loss)

    def answers(
        self, model: TaskModel[TrainableEncoder], batch: Batch, answers: AnswerFormat
    ) -> list[Floats]:
        """The logits of each row's cases, float [cases, L]."""
        from kepipe.finetuning.read_positions import cases_of

        cases_B = cases_of(batch, answers)
        found: list[Floats] = np.split(model(batch).cpu().double().numpy(), np.cumsum(cases_B)[:-1])
        return found

    def merge(
        self,
        model: TaskModel[TrainableEncoder],  # noqa: ARG002
        parts: Sequence[Floats],
        rows: Sequence[Row],
        answers: AnswerFormat,
    ) -> Answer:
        """The probabilities of an example's cases, float [cases, L]."""
        return self.together(parts, rows, answers)

    def together(
        self, parts: Sequence[Floats], rows: Sequence[Row], answers: AnswerFormat, temperature: float = 1.0
    ) -> Floats:
        """The same from logits divided by a temperature."""
        several = self.kind == "several"
        if answers.reads == "words":
            return probabilities(words_together(parts, rows) / temperature, several=several)
        of_parts = [probabilities(part / temperature, several=several) for part in parts]
        mean_NL: Floats = np.mean(of_parts, axis=0)
        return mean_NL

    def calibrate(
        self,
        model: TaskModel[TrainableEncoder],
        parts: Sequence[Sequence[Floats]],
        rows: Sequence[Sequence[Row]],
        examples: Sequence[Example],
        answers: AnswerFormat,
    ) -> dict[str, float]:
        """See `Calibrates`: the head's logits are divided by the temperature that makes the true labels of the examples
        likeliest (Guo et al. 2017, §4.2). Which label is the likeliest of a row does not change."""
        from kepipe.finetuning.heads import LabelHead

        gold = [gold_labels(example, answers.labels, several=self.kind == "several") for example in examples]

        def probable(temperature: float) -> list[Floats]:
            return [
                self.together(part, its_rows, answers, temperature)
                for part, its_rows in zip(parts, rows, strict=True)
            ]

        temperature = fit_temperature(probable, gold, several=self.kind == "several")
        assert isinstance(model.head, LabelHead)
        model.head.scale_logits(1 / temperature)
        return {"temperature": temperature}


def probabilities(logits_NL: Floats, *, several: bool) -> Floats:
    """Softmax over labels, or of several each label's own sigmoid; NaN stays."""
    from scipy.special import expit, softmax

    if several:
        return np.asarray(expit(logits_NL), np.float64)
    return np.asarray(softmax(logits_NL, axis=-1), np.float64)


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


CALIBRATION = "calibration_error"
"""The metric of how far probabilities are from the share of right answers."""


def calibration(
    examples: Sequence[Example], answers: Sequence[Floats], labels: Labels, *, several: bool = False
) -> dict[str, Metric]:
    """See `calibration_error`."""
    gold = [gold_labels(example, labels, several=several) for example in examples]
    return {CALIBRATION: calibration_error(decisions(answers, gold, several=several))}


def label_numbers(examples: Sequence[Example], labels: Labels) -> Ints:
    """The label of each example as its number among the labels."""
    numbers = {label: number for number, label in enumerate(labels)}
    return np.array([numbers[example.gold[0]] for example in examples], np.int64)


def rounded(probability: Any) -> float:
    """A probability as it is told."""
    return round(float(probability), 6)
