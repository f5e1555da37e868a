"""The state of training (updates done, held-out losses), and the manager of its checkpoints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from accelerate import Accelerator
from torch import nn

from kepipe.flow.events import WeightsKept
from kepipe.flow.stage import StageContext
from kepipe.training import checkpoint, state_dict
from kepipe.training.carried_states import CarriedStates
from kepipe.training.settings import TrainingSettings

if TYPE_CHECKING:
    from kepipe.training.sharded_checkpoint import ShardedCheckpoints


@dataclass
class TrainState:
    """Updates done, and held-out losses so far."""

    step: int = 0
    micro_batches: int = 0
    """Micro-batches used so far, by all processes."""
    seconds: float = 0.0
    """Seconds used of a budget; 0 without one."""
    best_step: int = 0
    best: float = float("inf")
    """The lowest held-out loss, at `best_step`."""
    stale: int = 0
    """Evaluations since `best_step`."""
    latest: float = float("inf")
    """The last held-out loss; after training, that of the final weights."""
    lowest: list[tuple[float, int]] = field(default_factory=list)
    """The lowest held-out losses with their steps, lowest first: those whose checkpoints are kept."""

    def record(self, loss: float, keep: int) -> bool:
        """Record a held-out loss; returns whether it is among the `keep` lowest."""
        self.latest = loss
        if loss < self.best:
            self.best_step, self.best, self.stale = self.step, loss, 0
        else:
            self.stale += 1
        self.lowest = sorted((*self.lowest, (loss, self.step)))[:keep]
        return (loss, self.step) in self.lowest

    def share(self, settings: TrainingSettings) -> float:
        """The share of the training that is done, 0..1: of its steps, or of its time budget."""
        total = settings.steps if settings.budget is None else settings.budget
        done = (self.step if settings.budget is None else self.seconds) / total if total else 1.0
        return min(1.0, done)

    def finished(self, settings: TrainingSettings) -> bool:
        """Whether all steps or all of the budget are used, or early stopping applies."""
        return self.share(settings) >= 1.0 or self.out_of_patience(settings)

    def out_of_patience(self, settings: TrainingSettings) -> bool:
        """Whether the held-out loss has not fallen for `patience` measurements."""
        return settings.patience is not None and self.stale >= settings.patience


class CheckpointManager:
    """Saves and restores weights, optimiser state, carried states and `TrainState`, in `context.scratch`.

    The first process writes them whole, or every process its share if the weights are sharded. With
    `async_checkpoints` the training waits for the copy alone, and a thread writes it; one at a time.
    """

    def __init__(
        self,
        accelerator: Accelerator,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        carried: CarriedStates,
        settings: TrainingSettings,
        context: StageContext,
    ) -> None:
        self.accelerator, self.model, self.optimizer = accelerator, model, optimizer
        self.carried, self.settings, self.context = carried, settings, context
        self.root: Path = context.scratch / "checkpoints"
        asked = settings.async_checkpoints
        self.is_async = accelerator.device.type != "cpu" if asked == "auto" else asked
        self._written: Future[Any] | None = None
        self._step = 0
        self._thread = ThreadPoolExecutor(1)
        self._shards: ShardedCheckpoints | None = None
        if any(hasattr(weight, "full_tensor") for weight in model.parameters()):
            from kepipe.training.sharded_checkpoint import ShardedCheckpoints  # takes a second to import

            self._shards = ShardedCheckpoints(self.root, model, optimizer)

    def restore(self) -> TrainState:
        """Restore the newest intact checkpoint whose best checkpoint, if needed, is intact too; a new state if there is
        none."""
        tidy = self.accelerator.is_main_process
        found = list(checkpoint.intact(self.root, self.context.warn, tidy=tidy))
        steps = {one.step for one in found}
        for one in found:
            state = TrainState(**one.state["progress"])
            state.lowest = [(loss, step) for loss, step in state.lowest]  # JSON has no tuples
            if self.settings.num_best_checkpoints() and state.best_step and state.best_step not in steps:
                continue
            self._load(one, self.optimizer)
            self.carried.restore(one.tensors("carried"), self.accelerator.device)
            if self.accelerator.scaler is not None and one.state["scaler"]:
                self.accelerator.scaler.load_state_dict(one.state["scaler"])
            used = f" with {state.seconds:,.0f} s of its budget used" if state.seconds else ""
            total = "" if self.settings.budget else f" of {self.settings.steps}"
            self.context.note(f"continuing after step {one.step}{total}{used}")
            self._tell(state.step, self._to_keep(state))  # a kill may have come between writing and telling
            return state
        return TrainState()

    def save(self, state: TrainState, measured: tuple[str, ...] = ()) -> None:
        """Write a checkpoint and remove those that are no longer needed, after the one before is written.

        `measured`: names of the metrics of this step that were measured on held-out data.
        """
        self.wait()
        scaler = self.accelerator.scaler
        stored = {"progress": asdict(state), "scaler": scaler.state_dict() if scaler is not None else {}}
        step, kept = state.step, self._to_keep(state)
        carried = {name: value.clone() for name, value in self.carried.tensors().items()}

        def prune() -> None:
            checkpoint.prune(self.root, kept)

        if self._shards is not None:
            self._written, self._step = self._shards.save(step, {"carried": carried}, stored, prune), step
        elif self.accelerator.is_main_process:
            tensors = {
                "weights": state_dict.weights(self.model, copy=self.is_async),
                "memory": state_dict.optimizer_state(self.model, self.optimizer, copy=self.is_async),
                "carried": carried,
            }
            self._written = self._thread.submit(self._write, step, tensors, stored, prune)
        if not self.is_async:
            self.wait()
            self.accelerator.wait_for_everyone()
        self._tell(step, kept, measured)

    def _to_keep(self, state: TrainState) -> set[int]:
        """Steps of the checkpoints that are kept once that of `state` is written.

        Steps after it are damaged: an intact one would have been restored.
        """
        steps = sorted({state.step, *(one for one in checkpoint.steps(self.root) if one <= state.step)})
        lowest = {step for _, step in state.lowest}.intersection(steps)
        return {*steps[-self.settings.keep_last :], *lowest}

    def _tell(self, step: int, kept: set[int], measured: tuple[str, ...] = ()) -> None:
        folder = str(checkpoint.folder_of(self.root, step))
        self.context.emit(WeightsKept, step=step, kept=tuple(sorted(kept)), folder=folder, measured=measured)

    def _write(
        self, step: int, tensors: checkpoint.Tensors, stored: Mapping[str, Any], then: Callable[[], None]
    ) -> None:
        checkpoint.save(self.root, step, tensors, stored)
        then()

    def wait(self) -> None:
        """Wait until the last checkpoint is written. Raises OSError if it could not be."""
        written, self._written = self._written, None
        if written is None:
            return
        error = written.exception()
        if error is not None and self._shards is not None:
            raise self._shards.failure(self._step, error) from error
        if error is not None:
            raise error

    def close(self) -> None:
        """Let the last checkpoint be written when the training ends early; what it raises is shown as a warning."""
        try:
            self.wait()
        except (OSError, RuntimeError) as error:
            self.context.warn(str(error))
        self._thread.shutdown()

    def finish(self, state: TrainState, measured: tuple[str, ...] = ()) -> None:
        """Note an early stop, and with `final: best` load the best weights into the model. `measured`: as in `save`."""
        self.accelerator.wait_for_everyone()
        if state.share(self.settings) < 1.0:
            total = "" if self.settings.budget else f" of {self.settings.steps}"
            self.context.note(
                f"stopped after step {state.step}{total}: {self.settings.patience} evaluations were no better than "
                f"that of step {state.best_step}, {state.best:.4g}"
            )
        step = state.step
        if self.settings.final == "best" and state.best_step:
            self._restore_best(state)
            step = state.best_step
        self.context.emit(WeightsKept, step=step, measured=measured)

    def _restore_best(self, state: TrainState) -> None:
        """Load the weights of the lowest held-out loss into the model; `latest` becomes that loss."""
        for one in checkpoint.intact(self.root, self.context.warn, tidy=self.accelerator.is_main_process):
            if one.step == state.best_step:
                self._load(one)
                state.latest = state.best
                self.context.note(
                    f"the weights are those of step {state.best_step}, with the lowest held-out loss"
                )
                return
        raise OSError(
            f"{self.root}: the best checkpoint, of step {state.best_step}, is missing or damaged; "
            "remove the folder and run again"
        )

    def _load(self, one: checkpoint.Checkpoint, optimizer: torch.optim.Optimizer | None = None) -> None:
        """The weights, and the state of `optimizer`, of either kind of checkpoint into a model of either kind."""
        if one.is_sharded:
            from kepipe.training import sharded_checkpoint

            sharded_checkpoint.load(one, self.model, optimizer)
            return
        state_dict.restore_weights(self.model, one.tensors("weights"))
        if optimizer is not None:
            state_dict.restore_optimizer_state(self.model, optimizer, one.tensors("memory"))
