"""The places of a batch that a head reads, and the labels that belong there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

import numpy as np

from kepipe.arrays import Ints
from kepipe.data.batch import Batch
from kepipe.finetuning.output import AnswerFormat
from kepipe.finetuning.rows import Row
from kepipe.objectives.losses import tensor


def mark_places(batch: Batch, rows: Sequence[Row], answers: AnswerFormat, *, several: bool) -> Batch:
    """The batch with the flat places of its rows' marks, and with labels where the rows have them: int [N], or 0 and 1,
    int [N, L], where a case has `several`.

    A word that was cut off when tokens moved is no case any more; another mark that was cut off is the row's last
    token.
    """
    width, lengths_B = batch.tokens.shape[1], (batch.documents.numpy() > 0).sum(1)
    counts = np.fromiter((len(row.marks) for row in rows), np.int64, len(rows))
    of = np.repeat(np.arange(len(rows)), counts)
    marks = np.fromiter(chain.from_iterable(row.marks for row in rows), np.int64)
    if batch.moved is not None:
        marks = batch.moved.numpy()[of, marks]
    labels = None
    if all(row.labels for row in rows if row.marks):
        given = [row.labels for row in rows]
        labels = (
            _hot(given, len(answers.labels)) if several else np.fromiter(chain.from_iterable(given), np.int64)
        )
    if answers.reads == "words":
        left = marks >= 0
        of, marks = of[left], marks[left]
        labels = None if labels is None else labels[left]
    places = of * width + np.where(marks < 0, lengths_B[of] - 1, marks)
    return replace(batch, label_positions=tensor(places), labels=None if labels is None else tensor(labels))


def cases_of(batch: Batch, answers: AnswerFormat) -> Ints:
    """How many cases each row of a batch has, int [B]: one, or its words."""
    rows, width = batch.tokens.shape
    if answers.reads != "words":
        return np.ones(rows, np.int64)
    assert batch.label_positions is not None
    return np.bincount(batch.label_positions.cpu().numpy() // width, minlength=rows)


def _hot(given: Sequence[Sequence[int]], labels: int) -> Ints:
    hot_BL = np.zeros((len(given), labels), np.int64)
    for row, numbers in enumerate(given):
        hot_BL[row, list(numbers)] = 1
    return hot_BL
