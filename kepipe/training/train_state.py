"""The state of training (updates done, held-out losses), and the manager of its checkpoints."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from accelerate import Accelerator
from torch import nn

from kepipe.flow.stage import StageContext
from kepipe.training import checkpoint, state_dict
from kepipe.training.carried_states import CarriedStates
from kepipe.training.settings import TrainingSettings


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
    """Saves and restores weights, optimiser state, carried states and `TrainState`, in `context.scratch`."""

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

    def restore(self) -> TrainState:
        """Restore the newest intact checkpoint whose best checkpoint, if needed, is intact too; a new state if there is
        none."""
        found = list(checkpoint.intact(self.root, self.context.warn))
        steps = {one.step for one in found}
        for one in found:
            state = TrainState(**one.state["progress"])
            state.lowest = [(loss, step) for loss, step in state.lowest]  # JSON has no tuples
            if self.settings.num_best_checkpoints() and state.best_step and state.best_step not in steps:
                continue
            state_dict.restore_weights(self.model, one.tensors("weights"))
            state_dict.restore_optimizer_state(self.model, self.optimizer, one.tensors("memory"))
            self.carried.restore(one.tensors("carried"), self.accelerator.device)
            if self.accelerator.scaler is not None and one.state["scaler"]:
                self.accelerator.scaler.load_state_dict(one.state["scaler"])
            used = f" with {state.seconds:,.0f} s of its budget used" if state.seconds else ""
            total = "" if self.settings.budget else f" of {self.settings.steps}"
            self.context.note(f"continuing after step {one.step}{total}{used}")
            return state
        return TrainState()

    def save(self, state: TrainState) -> None:
        """Write a checkpoint and remove those that are no longer needed."""
        tensors = {
            "weights": state_dict.weights(self.model),
            "memory": state_dict.optimizer_state(self.model, self.optimizer),
            "carried": self.carried.tensors(),
        }
        if self.accelerator.is_main_process:
            scaler = self.accelerator.scaler
            progress = {
                "progress": asdict(state),
                "scaler": scaler.state_dict() if scaler is not None else {},
            }
            checkpoint.save(self.root, state.step, tensors, progress)
            checkpoint.prune(self.root, self._kept(state))
        self.accelerator.wait_for_everyone()

    def finish(self, state: TrainState) -> None:
        """Note an early stop, and with `final: best` load the best weights into the model."""
        if state.share(self.settings) < 1.0:
            total = "" if self.settings.budget else f" of {self.settings.steps}"
            self.context.note(
                f"stopped after step {state.step}{total}: {self.settings.patience} measurements were no better than "
                f"that of step {state.best_step}, {state.best:.4g}"
            )
        if self.settings.final == "best" and state.best_step:
            self._restore_best(state)

    def _restore_best(self, state: TrainState) -> None:
        """Load the weights of the lowest held-out loss into the model; `latest` becomes that loss."""
        for one in checkpoint.intact(self.root, self.context.warn):
            if one.step == state.best_step:
                state_dict.restore_weights(self.model, one.tensors("weights"))
                state.latest = state.best
                self.context.note(
                    f"the weights are those of step {state.best_step}, of the lowest held-out loss"
                )
                return
        raise OSError(
            f"{self.root}: the checkpoint of step {state.best_step}, the best, is gone or damaged; "
            "remove the folder and run again"
        )

    def _kept(self, state: TrainState) -> set[int]:
        """The steps whose checkpoints are kept. Those after `state.step` are damaged: an intact one would have been
        restored."""
        steps = [step for step in checkpoint.steps(self.root) if step <= state.step]
        return {*steps[-self.settings.keep_last :], *(step for _, step in state.lowest)}
