"""The token positions that a head reads in a batch, and their labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import numpy as np
import torch

from kepipe.arrays import Ints
from kepipe.data.batch import Batch
from kepipe.finetuning.output import AnswerFormat
from kepipe.finetuning.rows import Row
from kepipe.objectives.losses import tensor

SOFT_LABELS = "soft_labels"
"""Name of a teacher's probabilities in `Batch.extra`."""
TEACHER_STATES = "teacher_states"
"""Name of a teacher's hidden states in `Batch.extra`."""


def add_read_positions(batch: Batch, rows: Sequence[Row], answers: AnswerFormat, *, several: bool) -> Batch:
    """The batch with flat `label_positions` for the head, and with labels if the rows have them: int [N], or multi-hot
    int [N, L] if `several`; a teacher's probabilities as `extra["soft_labels"]`, float [N, L], and its hidden states as
    `extra["teacher_states"]`, float [N, D].

    A word that was cut off after tokens were moved is dropped; for another token that was cut off, the row's last
    token is read instead (see `count_cut_off`).
    """
    width, lengths_B = batch.tokens.shape[1], (batch.documents.numpy() > 0).sum(1)
    of, positions = current_read_positions(batch, rows)
    labels = None
    given = [row.labels for row in rows if row.labels is not None]
    if len(given) == len(rows):
        labels = (
            _multi_hot(given, len(answers.labels))
            if several
            else np.fromiter(chain.from_iterable(given), np.int64)
        )
    learned = {
        SOFT_LABELS: [row.soft_labels for row in rows if row.soft_labels is not None],
        TEACHER_STATES: [row.teacher_states for row in rows if row.teacher_states is not None],
    }
    from_teacher = {name: np.concatenate(of) for name, of in learned.items() if len(of) == len(rows)}
    if answers.reads == "words":
        left = positions >= 0
        of, positions = of[left], positions[left]
        labels = None if labels is None else labels[left]
        from_teacher = {name: values[left] for name, values in from_teacher.items()}
    if from_teacher:
        extra = {name: torch.from_numpy(values).float() for name, values in from_teacher.items()}
        batch = replace(batch, extra={**batch.extra, **extra})
    places = of * width + np.where(positions < 0, lengths_B[of] - 1, positions)
    return replace(batch, label_positions=tensor(places), labels=None if labels is None else tensor(labels))


def count_cut_off(batch: Batch, rows: Sequence[Row]) -> int:
    """The number of tokens read by the head that were cut off after tokens were moved."""
    return int((current_read_positions(batch, rows)[1] < 0).sum())


def current_read_positions(batch: Batch, rows: Sequence[Row]) -> tuple[Ints, Ints]:
    """Batch row and current column of each token that the head reads, int [N] each; column −1: cut off."""
    counts = np.fromiter((len(row.read_positions) for row in rows), np.int64, len(rows))
    of = np.repeat(np.arange(len(rows)), counts)
    positions = np.fromiter(chain.from_iterable(row.read_positions for row in rows), np.int64)
    return of, positions if batch.moved is None else batch.moved.numpy()[of, positions]


def cases_of(batch: Batch, answers: AnswerFormat) -> Ints:
    """The number of cases of each row of a batch, int [B]: one, or its number of words."""
    rows, width = batch.tokens.shape
    if answers.reads != "words":
        return np.ones(rows, np.int64)
    assert batch.label_positions is not None
    return np.bincount(batch.label_positions.cpu().numpy() // width, minlength=rows)


def _multi_hot(given: Sequence[Sequence[float]], labels: int) -> Ints:
    hot_BL = np.zeros((len(given), labels), np.int64)
    for row, numbers in enumerate(given):
        hot_BL[row, np.asarray(numbers, np.int64)] = 1
    return hot_BL
