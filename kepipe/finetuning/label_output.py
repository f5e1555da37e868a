"""Label output: a head over some tokens of a row predicts one label for each case, or several.

For a text in windows, the probabilities are the mean over its windows; for a word in several windows, those of the
window with the most context around it.
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
from kepipe.finetuning.windows import merge_word_values

if TYPE_CHECKING:
    from kepipe.data.batch import Batch
    from kepipe.finetuning.heads import LabelHead
    from kepipe.finetuning.task_model import TaskModel
    from kepipe.models.protocols import TrainableEncoder
    from kepipe.training.criterion import Criterion

LabelKind = Literal["one", "several"]
"""One label per case (softmax), or several (a sigmoid for each label)."""


@dataclass(frozen=True)
class LabelOutput:
    """A `TaskOutput`. A case is a row, or in tagging a word. The answer to a row is its logits, float [cases, L]; the
    answer to an example its probabilities, float [cases, L], NaN for words that no row covers."""

    kind: LabelKind

    def labels(self, splits: Splits) -> tuple[str, ...]:
        """All labels of all splits, sorted, including labels that only the test split has."""
        labels = tuple(sorted({label for examples in splits.values() for e in examples for label in e.gold}))
        if len(labels) < (2 if self.kind == "one" else 1):
            raise ValueError(f"the data has one label, {labels}: there is nothing to learn")
        return labels

    def encode(self, rows: Sequence[Row], examples: Sequence[Example], answers: AnswerFormat) -> list[Row]:
        """The rows with label indices; in tagging, those of the words that the row covers."""
        numbers = {label: number for number, label in enumerate(answers.labels)}

        def encoded(row: Row, labels: Sequence[str]) -> Row:
            of_row = [labels[word] for word in row.read_words] if answers.reads == "words" else labels
            return replace(row, labels=tuple(numbers[label] for label in of_row))

        return [
            row if example.labels is None else encoded(row, example.labels)
            for row, example in zip(rows, examples, strict=True)
        ]

    def collate(self, batch: Batch, rows: Sequence[Row], answers: AnswerFormat) -> Batch:
        """See `read_positions.add_read_positions`."""
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
        """The logits of each row, float [cases, L]."""
        from kepipe.finetuning.read_positions import cases_of

        cases_B = cases_of(batch, answers)
        logits: list[Floats] = np.split(model(batch).cpu().double().numpy(), np.cumsum(cases_B)[:-1])
        return logits

    def merge(
        self,
        model: TaskModel[TrainableEncoder],  # noqa: ARG002
        parts: Sequence[Floats],
        rows: Sequence[Row],
        answers: AnswerFormat,
    ) -> Answer:
        """The probabilities of an example, float [cases, L], from the logits of its rows."""
        return self.merge_probabilities(parts, rows, answers)

    def merge_probabilities(
        self, parts: Sequence[Floats], rows: Sequence[Row], answers: AnswerFormat, temperature: float = 1.0
    ) -> Floats:
        """The probabilities of an example from the logits of its rows divided by `temperature`."""
        several = self.kind == "several"
        if answers.reads == "words":
            return probabilities(merge_word_values(parts, rows) / temperature, several=several)
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
        """See `Calibrates`: temperature scaling of the head (Guo et al. 2017, §4.2). The most probable label of a row
        does not change."""
        from kepipe.finetuning.heads import LabelHead

        gold = [gold_labels(example, answers.labels, several=self.kind == "several") for example in examples]

        def probable(temperature: float) -> list[Floats]:
            return [
                self.merge_probabilities(part, its_rows, answers, temperature)
                for part, its_rows in zip(parts, rows, strict=True)
            ]

        temperature = fit_temperature(probable, gold, several=self.kind == "several")
        assert isinstance(model.head, LabelHead)
        model.head.scale_logits(1 / temperature)
        return {"temperature": temperature}


def probabilities(logits_NL: Floats, *, several: bool) -> Floats:
    """Softmax over labels, or a sigmoid for each label if `several`; NaN stays NaN."""
    from scipy.special import expit, softmax

    if several:
        return np.asarray(expit(logits_NL), np.float64)
    return np.asarray(softmax(logits_NL, axis=-1), np.float64)


ONE_LABEL = LabelOutput("one")
SEVERAL_LABELS = LabelOutput("several")


def best_label(_example: Example, probabilities_NL: Floats, labels: Labels) -> dict[str, Any]:
    """The most probable label of an example with one case, and its probability."""
    best = int(probabilities_NL[0].argmax())
    return {"predicted": labels[best], "probability": rounded(probabilities_NL[0, best])}


def likeliest(answers: Sequence[Floats]) -> Ints:
    """The index of the most probable label of each example with one case, int [N]."""
    rows: Ints = np.concatenate(answers).argmax(axis=1)
    return rows


CALIBRATION = "calibration_error"
"""Name of the metric `calibration_error`."""


def calibration(
    examples: Sequence[Example], answers: Sequence[Floats], labels: Labels, *, several: bool = False
) -> dict[str, Metric]:
    """See `calibration_error`."""
    gold = [gold_labels(example, labels, several=several) for example in examples]
    return {CALIBRATION: calibration_error(decisions(answers, gold, several=several))}


def label_numbers(examples: Sequence[Example], labels: Labels) -> Ints:
    """The index of the gold label of each example, int [N]."""
    numbers = {label: number for number, label in enumerate(labels)}
    return np.array([numbers[example.gold[0]] for example in examples], np.int64)


def rounded(probability: Any) -> float:
    """A probability as it is written to records, with six decimals."""
    return round(float(probability), 6)
