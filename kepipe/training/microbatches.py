"""The batches of a training, numbered, and prepared ahead of the model."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from kepipe.data.batch import Batch
from kepipe.training.prefetch import prefetch
from kepipe.training.settings import TrainingSettings
from kepipe.training.train_state import TrainState

Batches = Callable[[int, float], Batch]
"""Number of a micro-batch, and the share of the training that is done when it comes → that batch: a pure function, so
that to resume takes one integer."""


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
class PlannedUpdate:
    """Update `step`, from 0: the numbers of its micro-batches, those of all processes, and the share of the training
    for which they are made."""

    step: int
    numbers: range
    share: float


@dataclass(frozen=True)
class MicrobatchLoader:
    """The micro-batches of every update for one of several processes.

    An update has the next G batches, G = `settings.parts_at` the share of the training that is done; process r of W
    takes every W-th of them from the r-th on. So a run on any number of processes that divides G sees the same updates.
    """

    batches: Batches
    counts: Callable[[Batch], Mapping[str, int]]
    settings: TrainingSettings
    seed: int
    process: int = 0
    processes: int = 1
    pin: bool = False
    """Whether batches are to be copied to a GPU."""

    def __post_init__(self) -> None:
        fewest = self.settings.ramp()[0]
        if fewest % self.processes:
            raise ValueError(
                f"{self.processes} processes cannot share the {fewest} parts of an update: set accumulate to a "
                f"multiple of {self.processes * self.settings.accumulate // fewest}"
            )

    def load(self, number: int, share: float = 0.0) -> MicroBatch:
        """Micro-batch `number`; a pure function. `share`: of the training that is done when it comes."""
        batch = self.batches(number, share)
        tokens = int((batch.documents > 0).sum())
        if batch.decoder_documents is not None:
            tokens += int((batch.decoder_documents > 0).sum())
        dropout = int(np.random.SeedSequence([self.seed, number, 1]).generate_state(1)[0])
        counts = self.counts(batch)
        return MicroBatch(batch.pinned() if self.pin else batch, counts, tokens, dropout)

    def reload(self, update: PlannedUpdate) -> list[MicroBatch]:
        """All micro-batches of an update, those of other processes too."""
        return [self.load(number, update.share) for number in update.numbers]

    def updates(self, state: TrainState) -> Generator[tuple[PlannedUpdate, list[MicroBatch]]]:
        """The updates that follow `state`, which the caller carries on, and this process's share of each, prepared
        ahead. Close it to stop.

        The last is that after which all steps are done; with a budget of time it is for the caller to stop.
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
        """Updates without end but that of all steps. With a budget, all processes look at the same time, that of the
        latest update, when they plan one ahead."""
        step, first = state.step, state.micro_batches
        while self.settings.budget is not None or step < self.settings.steps:
            share = state.share(self.settings) if self.settings.budget else step / self.settings.steps
            stop = first + self.settings.parts_at(share)
            yield PlannedUpdate(step, range(first, stop), share)
            step, first = step + 1, stop
