"""The batches of a training, numbered, and prepared ahead of the model."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from kepipe.data.batch import Batch
from kepipe.training.prefetch import prefetch
from kepipe.training.settings import TrainingSettings

Batches = Callable[[int], Batch]
"""Number of a micro-batch → that batch: a pure function, so that to resume takes one integer."""


@dataclass(frozen=True)
class MicroBatch:
    """A batch that makes up an update, alone or with others."""

    batch: Batch
    counts: Mapping[str, int]
    """Term or metric → number of places (see `Criterion.counts`)."""
    tokens: int
    """Tokens that are not padding, of encoder and decoder."""
    seed: int
    """Of what the model itself draws (dropout)."""


@dataclass(frozen=True)
class MicrobatchLoader:
    """The micro-batches of every update for one of several processes.

    Update s has the batches s·G … s·G+G-1, G = `settings.accumulate`; process r of W takes every W-th of
    them from the r-th on. So a run on any number of processes that divides G sees the same updates.
    """

    batches: Batches
    counts: Callable[[Batch], Mapping[str, int]]
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

    def load(self, number: int) -> MicroBatch:
        """Micro-batch `number`; a pure function."""
        batch = self.batches(number)
        tokens = int((batch.documents > 0).sum())
        if batch.decoder_documents is not None:
            tokens += int((batch.decoder_documents > 0).sum())
        dropout = int(np.random.SeedSequence([self.seed, number, 1]).generate_state(1)[0])
        return MicroBatch(batch, self.counts(batch), tokens, dropout)

    def update(self, step: int) -> list[MicroBatch]:
        """All micro-batches of an update, those of other processes too."""
        size = self.settings.accumulate
        return [self.load(number) for number in range(step * size, (step + 1) * size)]

    def updates(self, first: int) -> Generator[list[MicroBatch]]:
        """This process's share of update `first` and of those that follow, prepared ahead. Close it to stop."""
        size, workers = self.settings.accumulate, self.settings.workers
        share = size // self.processes
        mine = range(first * size + self.process, self.settings.steps * size, self.processes)
        with closing(prefetch(self.load, mine, workers=workers, depth=2 * workers + share)) as loaded:
            for _ in range(first, self.settings.steps):
                yield [next(loaded) for _ in range(share)]
