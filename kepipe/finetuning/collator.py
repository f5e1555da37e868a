"""Rows → a batch: padding, knowledge injection, and the labels and positions that the task's output adds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kepipe.arrays import pad
from kepipe.data.batch import Batch, Mentions
from kepipe.data.batch_sampler import BatchSampler
from kepipe.finetuning.output import AnswerFormat, Corrupts, TaskOutput
from kepipe.finetuning.rows import Row
from kepipe.objectives.losses import tensor

if TYPE_CHECKING:
    from kepipe.knowledge.base import Knowledge

CORRUPTION = 19
"""Distinguishes the numbers drawn for a batch from those for the order of batches."""


@dataclass(frozen=True)
class TaskCollator:
    """Collates the rows of a task, in training, evaluation and prediction alike.

    `causal`: for a decoder. `knowledge`: the knowledge method that is applied to the batch; None: none.
    """

    output: TaskOutput
    answers: AnswerFormat
    causal: bool = False
    knowledge: Knowledge | None = None

    def __call__(self, rows: Sequence[Row]) -> Batch:
        """The batch, with labels if the rows have them."""
        return self.output.collate(self.read(rows), rows, self.answers)

    def read(self, rows: Sequence[Row]) -> Batch:
        """The padded batch of input tokens, after the knowledge method, without labels."""
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
    """Step → batch: rows of similar length are batched together; the order is shuffled each epoch. What an output draws
    for a batch depends on the seed and the number of the batch."""

    rows: Sequence[Row]
    sampler: BatchSampler
    collator: TaskCollator

    @classmethod
    def over(cls, rows: Sequence[Row], collator: TaskCollator, tokens: int, seed: int) -> TaskBatches:
        """`tokens`: the size of a batch, rows × longest row."""
        lengths = np.fromiter(map(len, rows), np.int64, len(rows))
        return cls(rows, BatchSampler(lengths, tokens, seed), collator)

    def __call__(self, number: int, _share: float = 0.0) -> Batch:
        batch = self.collator([self.rows[n] for n in self.sampler.rows(number).tolist()])
        output = self.collator.output
        if not isinstance(output, Corrupts):
            return batch
        rng = np.random.default_rng([self.sampler.seed, number, CORRUPTION])
        return output.corrupt(batch, self.collator.answers, rng)
