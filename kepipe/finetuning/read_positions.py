"""The positions of a batch that a head reads, and the labels that belong there."""

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


def add_read_positions(batch: Batch, rows: Sequence[Row], answers: AnswerFormat, *, several: bool) -> Batch:
    """The batch with the flat `label_positions` that the head reads, and with labels where the rows have them: int [N],
    or 0 and 1, int [N, L], where a case has `several`.

    A word that was cut off when tokens moved is no case any more; in place of another token that was cut off the row's
    last is read (see `count_cut_off`).
    """
    width, lengths_B = batch.tokens.shape[1], (batch.documents.numpy() > 0).sum(1)
    of, positions = places_read(batch, rows)
    labels = None
    given = [row.labels for row in rows if row.labels is not None]
    if len(given) == len(rows):
        labels = (
            _hot(given, len(answers.labels)) if several else np.fromiter(chain.from_iterable(given), np.int64)
        )
    if answers.reads == "words":
        left = positions >= 0
        of, positions = of[left], positions[left]
        labels = None if labels is None else labels[left]
    places = of * width + np.where(positions < 0, lengths_B[of] - 1, positions)
    return replace(batch, label_positions=tensor(places), labels=None if labels is None else tensor(labels))


def count_cut_off(batch: Batch, rows: Sequence[Row]) -> int:
    """How many tokens that a head reads were cut off when tokens moved."""
    return int((places_read(batch, rows)[1] < 0).sum())


def places_read(batch: Batch, rows: Sequence[Row]) -> tuple[Ints, Ints]:
    """The row in the batch of each token that a head reads, and where it stands now, −1: cut off; int [N]."""
    counts = np.fromiter((len(row.read_positions) for row in rows), np.int64, len(rows))
    of = np.repeat(np.arange(len(rows)), counts)
    positions = np.fromiter(chain.from_iterable(row.read_positions for row in rows), np.int64)
    return of, positions if batch.moved is None else batch.moved.numpy()[of, positions]


def cases_of(batch: Batch, answers: AnswerFormat) -> Ints:
    """How many cases each row of a batch has, int [B]: one, or its words."""
    rows, width = batch.tokens.shape
    if answers.reads != "words":
        return np.ones(rows, np.int64)
    assert batch.label_positions is not None
    return np.bincount(batch.label_positions.cpu().numpy() // width, minlength=rows)


def _hot(given: Sequence[Sequence[float]], labels: int) -> Ints:
    hot_BL = np.zeros((len(given), labels), np.int64)
    for row, numbers in enumerate(given):
        hot_BL[row, np.asarray(numbers, np.int64)] = 1
    return hot_BL
