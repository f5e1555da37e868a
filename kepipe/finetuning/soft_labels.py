"""Distillation in fine-tuning: a teacher's probabilities for the training examples, computed once before training.

The teacher reads the examples in its own way: with its own tokenizer, windows, and knowledge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kepipe.arrays import Floats
from kepipe.finetuning.encoding import encode_rows
from kepipe.finetuning.evaluation import by_example, row_answers
from kepipe.finetuning.examples import Example
from kepipe.finetuning.fine_tuned import TaskSpec
from kepipe.finetuning.label_output import LabelOutput
from kepipe.finetuning.predictor import TOKENS, Predictor
from kepipe.finetuning.rows import Row


def with_soft_labels(
    rows: Sequence[Row],
    examples: Sequence[Example],
    teacher: Predictor,
    student: TaskSpec,
    temperature: float,
) -> list[Row]:
    """The student's rows with `Row.soft_labels`: the teacher's probabilities at this temperature.

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
    found = _probabilities(teacher, examples, temperature)
    per_word = student.row.reads == "words"
    return [
        replace(row, soft_labels=_of_row(found[row.example][:, columns], row, per_word=per_word))
        for row in rows
    ]


def _probabilities(teacher: Predictor, examples: Sequence[Example], temperature: float) -> list[Floats]:
    """The teacher's probabilities for each example, float [cases, L]; NaN for words that it does not read."""
    tuned = teacher.fine_tuned
    output, collator = tuned.spec.row.output, tuned.collator
    assert isinstance(output, LabelOutput)
    rows = encode_rows(teacher.link(examples), tuned.row_format)
    parts = row_answers(tuned.model, collator, rows, TOKENS)
    return [
        output.merge_probabilities(of_rows, its_rows, collator.answers, temperature)
        for of_rows, its_rows in by_example(parts, rows)
    ]


def _of_row(probabilities_NL: Floats, row: Row, *, per_word: bool) -> Floats:
    """The probabilities of a row's cases. A word that the teacher does not read gets equal ones."""
    its = probabilities_NL[list(row.read_words)] if per_word else probabilities_NL
    return np.where(np.isnan(its), 1 / its.shape[1], its)
