"""Rows → a batch: all is padded, knowledge enters, and the task's output adds what it learns and answers from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kepipe.arrays import pad
from kepipe.data.batch import Batch, Mentions
from kepipe.data.batch_sampler import BatchSampler
from kepipe.finetuning.output import AnswerFormat, TaskOutput
from kepipe.finetuning.rows import Row
from kepipe.objectives.losses import tensor

if TYPE_CHECKING:
    from kepipe.knowledge.base import Knowledge


@dataclass(frozen=True)
class TaskCollator:
    """What every row of a task goes through, in training, measuring and prediction alike.

    `causal`: for a decoder. `knowledge`: what is known of the entities that the rows name; None: nothing.
    """

    output: TaskOutput
    answers: AnswerFormat
    causal: bool = False
    knowledge: Knowledge | None = None

    def __call__(self, rows: Sequence[Row]) -> Batch:
        """The batch, with labels where the rows have them."""
        return self.output.collate(self.read(rows), rows, self.answers)

    def read(self, rows: Sequence[Row]) -> Batch:
        """The rows as the model reads them: padded, with what is known of their entities."""
        lengths_B = np.fromiter(map(len, rows), np.int64, len(rows))
        tokens_BT = pad(np.concatenate([row.tokens for row in rows]), lengths_B, self.answers.tokenizer.pad)
        segments_BT = pad(np.concatenate([row.segments for row in rows]), lengths_B, 0)
        there_BT = np.arange(tokens_BT.shape[1]) < lengths_B[:, None]
        batch = Batch(
            tensor(tokens_BT),
            tensor(there_BT),
            tensor(segments_BT),
            visibility="causal" if self.causal else "full",
        )
        if self.knowledge is not None:
            batch = self.knowledge.apply(batch, Mentions.in_rows([row.mentions for row in rows]))
        return batch


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

    def __call__(self, number: int, _share: float = 0.0) -> Batch:
        return self.collator([self.rows[n] for n in self.sampler.rows(number).tolist()])
