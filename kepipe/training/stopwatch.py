"""The time that training with a budget has used, the same in all processes."""

from __future__ import annotations

from contextlib import AbstractContextManager
from time import perf_counter
from typing import TYPE_CHECKING

import torch

from kepipe.device import exact
from kepipe.training.settings import TrainingSettings
from kepipe.training.train_state import TrainState

if TYPE_CHECKING:
    from accelerate import Accelerator

    from kepipe.flow.stage import StageContext, Tick


class Stopwatch:
    """Counts the seconds used of a budget, starting at `state.seconds`; without a budget it counts nothing."""

    def __init__(self, accelerator: Accelerator, settings: TrainingSettings, state: TrainState) -> None:
        self.accelerator, self.settings = accelerator, settings
        self.began = perf_counter() - state.seconds

    @property
    def share_of_update(self) -> float:
        """One update as a share of the training; 0 with a budget, since the number of updates is unknown."""
        return 0.0 if self.settings.budget else 1.0 / max(1, self.settings.steps)

    def note(self, state: TrainState) -> int:
        """Store the time in `state` after an update. Returns the progress for a bar: one step, or the whole seconds
        passed."""
        if self.settings.budget is None:
            return 1
        before, state.seconds = state.seconds, self._agreed(perf_counter() - self.began)
        return int(min(state.seconds, self.settings.budget)) - int(before)

    def _agreed(self, seconds: float) -> float:
        """The main process's time: learning rates and the end have to be the same in all processes."""
        if self.accelerator.num_processes == 1:
            return seconds
        device = self.accelerator.device
        shared = torch.tensor([seconds], dtype=exact(device), device=device)
        torch.distributed.broadcast(shared, 0)
        return float(shared)


def training_progress(
    context: StageContext, settings: TrainingSettings, state: TrainState
) -> AbstractContextManager[Tick]:
    """A progress bar in steps, or in seconds of the budget."""
    if settings.budget is None:
        return context.progress("training", settings.steps, "steps", state.step)
    return context.progress("training", int(settings.budget), "seconds", int(state.seconds))
