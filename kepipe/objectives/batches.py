"""The batches of pretraining: rows of a shard, corrupted by an objective."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kepipe.data.batch import Batch, TokenRows
from kepipe.objectives.base import Objective

RowSource = Callable[[int], TokenRows]
"""Batch number → clean rows: a pure function."""
HELD_OUT_SEED = 20_190_419
"""Seed of the corruption of held-out text: one for all arms, seeds and times, so that losses compare."""


@dataclass(frozen=True)
class CorruptedBatches:
    """Number of a micro-batch, and the share of the training that is done when it comes → that batch."""

    rows: RowSource
    objective: Objective
    seed: int

    def __call__(self, number: int, share: float) -> Batch:
        return self.objective.batch(number, self.rows, np.random.default_rng([self.seed, number]), share)


def held_out_batches(objective: Objective, rows: RowSource, count: int) -> list[Batch]:
    """The first `count` batches of held-out text, as at the end of a training; of a mixture, as many of each part."""
    return objective.held_out(rows, count, lambda number: np.random.default_rng([HELD_OUT_SEED, number]))
