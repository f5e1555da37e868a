"""Distillation in fine-tuning: a teacher's probabilities, and the hidden states that its head reads, for the training
examples, computed once before training.

The teacher reads the examples in its own way: with its own tokenizer, windows, and knowledge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from torch import Tensor

from kepipe.arrays import Floats
from kepipe.data.batch import Batch
from kepipe.finetuning.encoding import encode_rows
from kepipe.finetuning.evaluation import by_example, row_answers
from kepipe.finetuning.examples import Example
from kepipe.finetuning.fine_tuned import TaskSpec
from kepipe.finetuning.heads import LabelHead
from kepipe.finetuning.label_output import LabelOutput
from kepipe.finetuning.predictor import TOKENS, Predictor
from kepipe.finetuning.rows import Row
from kepipe.finetuning.task_model import TaskModel
from kepipe.finetuning.windows import merge_word_values
from kepipe.models.protocols import TrainableEncoder
from kepipe.training.distillation import Distillation


def with_soft_labels(
    rows: Sequence[Row],
    examples: Sequence[Example],
    teacher: Predictor,
    student: TaskSpec,
    settings: Distillation,
) -> list[Row]:
    """The student's rows with `Row.soft_labels`: the teacher's probabilities at the temperature of the settings; with
    `Row.teacher_states` if their similarities are learned.

    Raises ValueError if the teacher was fine-tuned for another task or for other labels.
    """
    spec = teacher.fine_tuned.spec
    if (spec.task, set(spec.labels)) != (student.task, set(student.labels)):
        missing = ", ".join(sorted(set(spec.labels) ^ set(student.labels)))
        differs = (
            f"it was fine-tuned for {spec.task}" if spec.task != student.task else f"labels differ: {missing}"
        )
        raise ValueError(f"distillation: the teacher does not fit: {differs}")
    columns = [spec.labels.index(label) for label in student.labels]
    teachers_rows = encode_rows(teacher.link(examples), teacher.fine_tuned.row_format)
    found = _probabilities(teacher, teachers_rows, settings.temperature)
    per_word = student.row.reads == "words"
    learning = [
        replace(
            row, soft_labels=_equal_if_unread(_of_row(found[row.example][:, columns], row, per_word=per_word))
        )
        for row in rows
    ]
    if not settings.similarities:
        return learning
    states = _states(teacher, teachers_rows)
    return [
        replace(row, teacher_states=_of_row(states[row.example], row, per_word=per_word)) for row in learning
    ]


class _ReadStates(TaskModel[TrainableEncoder]):
    """A task model without the last layer of its head: what this layer reads, float [N, D]."""

    def forward(self, batch: Batch) -> Tensor:
        assert isinstance(self.head, LabelHead)
        return self.head.read(self.hidden(batch), batch)


def _probabilities(teacher: Predictor, rows: Sequence[Row], temperature: float) -> list[Floats]:
    """The teacher's probabilities for each example, float [cases, L]; NaN for words that it does not read."""
    tuned = teacher.fine_tuned
    output, collator = tuned.spec.row.output, tuned.collator
    assert isinstance(output, LabelOutput)
    parts = row_answers(tuned.model, collator, rows, TOKENS)
    return [
        output.merge_probabilities(of_rows, its_rows, collator.answers, temperature)
        for of_rows, its_rows in by_example(parts, rows)
    ]


def _states(teacher: Predictor, rows: Sequence[Row]) -> list[Floats]:
    """The hidden states that the teacher's head reads, for each example, float [cases, D]: the mean over the windows of
    a text, for a word that of one window; NaN for words that it does not read."""
    tuned = teacher.fine_tuned
    model = _ReadStates(tuned.model.encoder, tuned.model.head, tuned.model.mixture).eval()
    per_word = tuned.spec.row.reads == "words"
    return [
        merge_word_values(of_rows, its_rows) if per_word else np.mean(of_rows, axis=0)
        for of_rows, its_rows in by_example(row_answers(model, tuned.collator, rows, TOKENS), rows)
    ]


def _of_row(values_NX: Floats, row: Row, *, per_word: bool) -> Floats:
    """The values of a row's cases; NaN for words that the teacher does not read."""
    if not per_word:
        return values_NX
    its_NX = np.full((len(row.read_words), values_NX.shape[1]), np.nan)
    words_N = np.array(row.read_words, np.int64)
    read_N = words_N < len(values_NX)
    its_NX[read_N] = values_NX[words_N[read_N]]
    return its_NX


def _equal_if_unread(probabilities_NL: Floats) -> Floats:
    """The probabilities, equal ones for words that the teacher does not read."""
    return np.where(np.isnan(probabilities_NL), 1 / probabilities_NL.shape[1], probabilities_NL)
