"""The batches of a training, numbered, and prepared ahead of the model."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from kepipe.data.batch import Batch, TokenRows
from kepipe.objectives.base import Objective
from kepipe.training.prefetch import prefetch
from kepipe.training.settings import TrainingSettings

RowSource = Callable[[int], TokenRows]
"""Batch number → clean rows: a pure function."""


@dataclass(frozen=True)
class MicroBatch:
    """A batch that makes up an update, alone or with others."""

    batch: Batch
    counts: Mapping[str, int]
    """Term → number of places (see `Objective.counts`)."""
    tokens: int
    """Tokens that are not padding, of encoder and decoder."""
    seed: int
    """Of what the model itself draws (dropout)."""


@dataclass(frozen=True)
class MicrobatchLoader:
    """The parts of every update for one of several processes.

    Update s has the batches s·G … s·G+G-1, G = `settings.accumulate`; process r of W takes every W-th of
    them from the r-th on. So a run on any number of processes that divides G sees the same updates.
    """

    objective: Objective
    render: RowSource
    settings: TrainingSettings
    seed: int
    process: int = 0
    processes: int = 1

    def __post_init__(self) -> None:
        if self.settings.accumulate % self.processes:
            raise ValueError(
                f"{self.processes} processes cannot share the {self.settings.accumulate} parts of an update: "
                f"set accumulate to a multiple of {self.processes}"
            )

    def make(self, number: int) -> MicroBatch:
        """Batch `number`, corrupted; a pure function."""
        progress = number // self.settings.accumulate / self.settings.steps
        batch = self.objective.corrupt(
            self.render(number), np.random.default_rng([self.seed, number]), min(1.0, progress)
        )
        tokens = int((batch.documents > 0).sum())
        if batch.decoder_documents is not None:
            tokens += int((batch.decoder_documents > 0).sum())
        dropout = int(np.random.SeedSequence([self.seed, number, 1]).generate_state(1)[0])
        return MicroBatch(batch, self.objective.counts(batch), tokens, dropout)

    def update(self, step: int) -> list[MicroBatch]:
        """All parts of an update, those of other processes too."""
        size = self.settings.accumulate
        return [self.make(number) for number in range(step * size, (step + 1) * size)]

    def updates(self, first: int) -> Generator[list[MicroBatch]]:
        """This process's parts of update `first` and of those that follow, prepared ahead. Close it to stop."""
        size, workers = self.settings.accumulate, self.settings.workers
        share = size // self.processes
        mine = range(first * size + self.process, self.settings.steps * size, self.processes)
        with closing(prefetch(self.make, mine, workers=workers, depth=2 * workers + share)) as parts:
            for _ in range(first, self.settings.steps):
                yield [next(parts) for _ in range(share)]
