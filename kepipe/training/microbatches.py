"""Numbered micro-batches, grouped into updates and prepared ahead of the model."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from kepipe.data.batch import Batch
from kepipe.training.batch_shapes import padded
from kepipe.training.prefetch import prefetch
from kepipe.training.settings import TrainingSettings
from kepipe.training.train_state import TrainState

Batches = Callable[[int, float], Batch]
"""(number of a micro-batch, share of the training that is done) → the batch: a pure function, so that resuming needs
one integer."""


@dataclass(frozen=True)
class MicroBatch:
    """One of the batches of an update (several with `accumulate`)."""

    batch: Batch
    counts: Mapping[str, int]
    """Term or metric → number of places (see `Criterion.counts`)."""
    tokens: int
    """Number of tokens without padding, of encoder and decoder."""
    seed: int
    """Seed of dropout."""


@dataclass(frozen=True)
class PlannedUpdate:
    """An update. `step`: its number, from 0; `numbers`: its micro-batches, of all processes; `share`: of the training
    that is done before it."""

    step: int
    numbers: range
    share: float


@dataclass(frozen=True)
class MicrobatchLoader:
    """The micro-batches of every update for process `process` of `processes`.

    An update consists of the next G micro-batches, G = `settings.parts_at(share)`; process r of W takes every W-th of
    them from the r-th on. So runs on any number of processes that divides G have the same updates.
    """

    batches: Batches
    counts: Callable[[Batch], Mapping[str, int]]
    settings: TrainingSettings
    seed: int
    process: int = 0
    processes: int = 1
    pin: bool = False
    """Whether to pin batches in memory, for copying to a GPU."""
    few_shapes: bool = False
    """Whether to pad batches to few shapes (`batch_shapes.padded`)."""

    def __post_init__(self) -> None:
        fewest = self.settings.ramp()[0]
        if fewest % self.processes:
            raise ValueError(
                f"{self.processes} processes cannot share the {fewest} parts of an update: set accumulate to a "
                f"multiple of {self.processes * self.settings.accumulate // fewest}"
            )

    def load(self, number: int, share: float = 0.0) -> MicroBatch:
        """Micro-batch `number`; a pure function. `share`: of the training that is done."""
        batch = self.batches(number, share)
        batch = padded(batch) if self.few_shapes else batch
        tokens = int((batch.documents > 0).sum())
        if batch.decoder_documents is not None:
            tokens += int((batch.decoder_documents > 0).sum())
        dropout = int(np.random.SeedSequence([self.seed, number, 1]).generate_state(1)[0])
        counts = self.counts(batch)
        return MicroBatch(batch.pinned() if self.pin else batch, counts, tokens, dropout)

    def reload(self, update: PlannedUpdate) -> list[MicroBatch]:
        """All micro-batches of an update, including those of other processes."""
        return [self.load(number, update.share) for number in update.numbers]

    def updates(self, state: TrainState) -> Generator[tuple[PlannedUpdate, list[MicroBatch]]]:
        """The updates after `state`, each with this process's micro-batches, prepared ahead. The caller advances
        `state`, and closes the generator to stop.

        Ends when all steps are done; with a time budget it does not end by itself.
        """
        depth = 2 * self.settings.workers + self.settings.accumulate // self.processes
        mine = (
            (update, number)
            for update in self._plan(state)
            for number in update.numbers[self.process :: self.processes]
        )

        def load(planned: tuple[PlannedUpdate, int]) -> tuple[PlannedUpdate, MicroBatch]:
            update, number = planned
            return update, self.load(number, update.share)

        with closing(prefetch(load, mine, workers=self.settings.workers, depth=depth)) as loaded:
            for update, first in loaded:
                others = len(update.numbers) // self.processes - 1
                yield update, [first, *(next(loaded)[1] for _ in range(others))]

    def _plan(self, state: TrainState) -> Iterator[PlannedUpdate]:
        """The updates until all steps are done; without end if there is a budget. Updates planned ahead then have the
        share at the latest finished update, which is the same in all processes."""
        step, first = state.step, state.micro_batches
        while self.settings.budget is not None or step < self.settings.steps:
            share = state.share(self.settings) if self.settings.budget else step / self.settings.steps
            stop = first + self.settings.parts_at(share)
            yield PlannedUpdate(step, range(first, stop), share)
            step, first = step + 1, stop
