"""Rows → a batch: all is padded, knowledge enters, marks become places, labels become tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from kepipe.arrays import Ints, ShardEntities, pad
from kepipe.data.batch import Batch, Mentions
from kepipe.data.batch_sampler import BatchSampler
from kepipe.finetuning.rows import Row
from kepipe.finetuning.task import LabelKind
from kepipe.objectives.losses import tensor

if TYPE_CHECKING:
    from kepipe.knowledge.base import Knowledge


@dataclass(frozen=True)
class TaskCollator:
    """What every row of a task goes through, in training, measuring and prediction alike.

    `pad`: id of the padding token. `labels`: how many there are. `per_word`: cases are words, else rows. `causal`: for
    a decoder. `knowledge`: what is known of the entities that the rows name; None: nothing.
    """

    pad: int
    kind: LabelKind
    labels: int
    per_word: bool = False
    causal: bool = False
    knowledge: Knowledge | None = None

    def __call__(self, rows: Sequence[Row]) -> tuple[Batch, Ints]:
        """The batch, with labels where the rows have them, and how many cases each row has: int [B]."""
        lengths_B = np.fromiter(map(len, rows), np.int64, len(rows))
        tokens_BT = pad(np.concatenate([row.tokens for row in rows]), lengths_B, self.pad)
        segments_BT = pad(np.concatenate([row.segments for row in rows]), lengths_B, 0)
        there_BT = np.arange(tokens_BT.shape[1]) < lengths_B[:, None]
        batch = Batch(
            tensor(tokens_BT),
            tensor(there_BT),
            tensor(segments_BT),
            visibility="causal" if self.causal else "full",
        )
        if self.knowledge is not None:
            batch = self.knowledge.apply(batch, mentions_of(rows))
        positions, labels, cases_B = self._marks(rows, batch)
        return replace(
            batch, label_positions=tensor(positions), labels=None if labels is None else tensor(labels)
        ), cases_B

    def _marks(self, rows: Sequence[Row], batch: Batch) -> tuple[Ints, Ints | None, Ints]:
        """Flat places of what the head reads, the labels, and the cases of each row.

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
                self._several(given)
                if self.kind == "several"
                else np.fromiter(chain.from_iterable(given), np.int64)
            )
        if not self.per_word:
            return of * width + np.where(marks < 0, lengths_B[of] - 1, marks), labels, np.ones_like(lengths_B)
        left = marks >= 0
        labels = None if labels is None else labels[left]
        return of[left] * width + marks[left], labels, np.bincount(of[left], minlength=len(rows))

    def _several(self, given: Sequence[Sequence[int]]) -> Ints:
        hot_BL = np.zeros((len(given), self.labels), np.int64)
        for row, labels in enumerate(given):
            hot_BL[row, list(labels)] = 1
        return hot_BL


def mentions_of(rows: Sequence[Row]) -> Mentions:
    """What the rows of a batch name, with the ids that occur."""
    named = [(number, *mention) for number, row in enumerate(rows) for mention in row.mentions]
    numbers = {id: number for number, id in enumerate(dict.fromkeys(mention[3] for mention in named))}
    places = np.array([mention[:3] for mention in named], np.int64).reshape(-1, 3)
    entities = np.fromiter((numbers[mention[3]] for mention in named), np.int64, len(named))
    row_M, first_M, stop_M = places.T
    return Mentions(row_M, first_M, stop_M, ShardEntities(entities), list(numbers))


@dataclass(frozen=True)
class TaskBatches:
    """Number of a batch → that batch: rows of like length together, in an order that is drawn anew each epoch."""

    rows: Sequence[Row]
    sampler: BatchSampler
    collator: TaskCollator

    @classmethod
    def over(cls, rows: Sequence[Row], collator: TaskCollator, tokens: int, seed: int) -> TaskBatches:
        """`tokens`: of a batch, rows × longest row."""
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        return cls(rows, BatchSampler(lengths, tokens, seed), collator)

    def __call__(self, number: int) -> Batch:
        return self.collator([self.rows[n] for n in self.sampler.rows(number).tolist()])[0]
