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
"""Seed of the corruption of held-out text, the same for all arms, seeds and measurements, so that losses compare."""


@dataclass(frozen=True)
class CorruptedBatches:
    """(number of a micro-batch, share of the training that is done) → the batch:
    `kepipe.training.microbatches.Batches`."""

    rows: RowSource
    objective: Objective
    seed: int

    def __call__(self, number: int, share: float) -> Batch:
        return self.objective.batch(number, self.rows, np.random.default_rng([self.seed, number]), share)


def held_out_batches(objective: Objective, rows: RowSource, count: int) -> list[Batch]:
    """The first `count` batches of held-out text, corrupted as at the end of training; of a mixture, `count` per
    part."""
    return objective.held_out(rows, count, lambda number: np.random.default_rng([HELD_OUT_SEED, number]))
