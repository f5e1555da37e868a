"""Which weights training keeps and returns: last or best; early stopping; all of it also after a resume."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from safetensors.torch import load_file

from kepipe.data.batch import TokenRows
from kepipe.flow.events import WeightsKept
from kepipe.training.carried_states import CarriedStates
from kepipe.training.evaluator import HeldOutLoss
from kepipe.training.train_state import CheckpointManager, TrainState
from tests.support.toy_training import (
    MASKING,
    EventRecorder,
    context_in,
    equal_weights,
    fit,
    held_out_loss,
    settings,
    tiny,
    toy_rows,
)


def held_out() -> HeldOutLoss:
    return held_out_loss(MASKING, lambda number: toy_rows(1_000 + number), 2)


class Stop(Exception):
    """Simulates a killed process."""


def test_train_state_tracks_lowest_losses_and_staleness() -> None:
    state, kept = TrainState(), []
    for step, loss in ((2, 3.0), (4, 2.0), (6, 2.0), (8, 2.5), (10, 1.0)):
        state.step = step
        kept.append((state.record(loss, keep=2), state.best_step, state.best, state.stale))
    assert kept == [
        (True, 2, 3.0, 0),
        (True, 4, 2.0, 0),
        (True, 4, 2.0, 1),  # an equal loss is not a better one
        (False, 4, 2.0, 2),
        (True, 10, 1.0, 0),
    ]
    assert (state.latest, state.lowest) == (1.0, [(1.0, 10), (2.0, 4)])


def test_train_state_begins_at_zero() -> None:
    state = TrainState()
    assert (state.step, state.micro_batches, state.seconds, state.best_step, state.stale) == (0, 0, 0.0, 0, 0)
    assert not state.record(float("nan"), keep=0)
    assert (state.best_step, state.stale, state.lowest) == (0, 1, [])


def test_train_state_share_of_steps_or_budget_and_early_stopping() -> None:
    by_steps, by_budget = settings(steps=12), settings(budget="20s")
    assert TrainState(step=3, seconds=15.0).share(by_steps) == 0.25
    assert TrainState(step=3, seconds=15.0).share(by_budget) == 0.75
    assert TrainState(seconds=30.0).share(by_budget) == 1.0
    assert TrainState(step=30).share(by_steps) == 1.0
    assert TrainState().share(settings(steps=0)) == 1.0
    assert not TrainState(step=11).finished(by_steps)
    assert TrainState(step=12).finished(by_steps)
    impatient = settings(steps=12, patience=2)
    assert not TrainState(step=3, stale=1).finished(impatient)
    assert TrainState(step=3, stale=2).finished(impatient)
    assert not TrainState(step=3, stale=9).finished(by_steps)


def test_scale_of_float16_gradients_is_kept_in_checkpoints(tmp_path: Path) -> None:
    """Without a scaler nothing of it is restored."""
    recorder = EventRecorder()
    context = context_in(tmp_path, recorder)

    def manager(scale: float | None) -> CheckpointManager:
        accelerator, model = Accelerator(cpu=True), tiny()
        accelerator.scaler = None if scale is None else torch.amp.GradScaler("cpu", init_scale=scale)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        return CheckpointManager(
            accelerator, model, optimizer, CarriedStates(), settings(budget="20s"), context
        )

    manager(8.0).save(TrainState(step=3, seconds=5.0))
    again = manager(16.0)
    assert again.restore() == TrainState(step=3, seconds=5.0)
    assert again.accelerator.scaler.get_scale() == 8.0
    assert "continuing after step 3 with 5 s of its budget used" in recorder.notes()
    manager(None).save(TrainState(step=4))
    other = manager(16.0)
    assert other.restore().step == 4
    assert other.accelerator.scaler.get_scale() == 16.0
    assert manager(None).restore().step == 4


def test_training_that_stops_within_its_budget_tells_no_number_of_steps(tmp_path: Path) -> None:
    recorder, model = EventRecorder(), tiny()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    limits = settings(budget="20s", patience=2)
    manager = CheckpointManager(
        Accelerator(cpu=True), model, optimizer, CarriedStates(), limits, context_in(tmp_path, recorder)
    )
    manager.finish(TrainState(step=7, seconds=20.0))
    assert recorder.notes() == ""
    manager.finish(TrainState(step=7, seconds=5.0, best_step=3, best=0.5, stale=2))
    assert "stopped after step 7: 2 evaluations were no better than that of step 3, 0.5" in recorder.notes()


def test_damaged_checkpoint_falls_back_to_the_previous(tmp_path: Path) -> None:
    recorder, whole, again = EventRecorder(), tiny(), tiny()
    context = context_in(tmp_path, recorder)
    fit(whole, MASKING, toy_rows, settings(), context)
    newest = context.scratch / "checkpoints" / "step-00000008" / "memory.safetensors"
    newest.write_bytes(newest.read_bytes()[:100])
    fit(again, MASKING, toy_rows, settings(), context)
    assert "damaged" in recorder.notes()
    assert "continuing after step 4 of 12" in recorder.notes()
    assert "budget" not in recorder.notes()
    assert "stopped after" not in recorder.notes()
    assert equal_weights(whole, again)


def test_damaged_checkpoint_is_not_kept_in_place_of_an_intact_one(tmp_path: Path) -> None:
    """Training that resumed before a damaged checkpoint, if interrupted again, resumes from its own."""

    def stopping(number: int) -> TokenRows:
        if number > 6:
            raise Stop
        return toy_rows(number)

    few = settings(keep_last=1)
    recorder, whole, again = EventRecorder(), tiny(), tiny()
    fit(whole, MASKING, toy_rows, few, context_in(tmp_path / "whole"))
    context = context_in(tmp_path / "cut", recorder)
    checkpoints = context.scratch / "checkpoints"
    (checkpoints / "step-abc").mkdir(parents=True)
    (checkpoints / "step-00000008").write_text("no folder")
    with pytest.raises(Stop):
        fit(tiny(), MASKING, stopping, few, context)
    assert [place.name for place in checkpoints.iterdir()] == ["step-00000004"]
    fit(again, MASKING, toy_rows, few, context)
    assert "continuing after step 4" in recorder.notes()
    assert equal_weights(whole, again)


def test_final_best_returns_the_best_weights_also_after_a_resume(tmp_path: Path) -> None:
    """The held-out text is reversed, so that the last is not the best. A resumed run finds the same best."""

    def opposite(number: int) -> TokenRows:
        rows = toy_rows(number)
        return replace(rows, tokens=rows.tokens[:, ::-1].copy())

    def stopping(number: int) -> TokenRows:
        if number > 33:
            raise Stop
        return toy_rows(number)

    misleading = held_out_loss(MASKING, opposite, 2)
    best = settings(steps=40, learning_rate=0.01, eval_every=4, final="best", keep_last=1)
    recorder, model = EventRecorder(), tiny(0.0)
    context = context_in(tmp_path / "whole", recorder)
    progress = fit(model, MASKING, toy_rows, best, context, misleading)
    losses = {step: loss for step, loss in recorder.metric("held_out_loss").items() if step}
    assert progress.best_step == min(losses, key=losses.__getitem__) < 40
    assert progress.latest == losses[progress.best_step], "the loss of the weights with which it ends"
    assert f"the weights are those of step {progress.best_step}" in recorder.notes()
    stored = load_file(context.scratch / f"checkpoints/step-{progress.best_step:08d}/weights.safetensors")
    assert all(torch.equal(stored[name], value) for name, value in model.named_parameters())

    again, cut = tiny(0.0), context_in(tmp_path / "cut")
    with pytest.raises(Stop):
        fit(tiny(0.0), MASKING, stopping, best, cut, misleading)
    fit(again, MASKING, toy_rows, best, cut, misleading)
    assert equal_weights(model, again)


def test_keep_last_and_keep_best_checkpoints_are_kept(tmp_path: Path) -> None:
    """Also if a kept one is evaluated after a lower one, and if training was interrupted in between."""

    class Told:
        """Returns these losses in turn."""

        selection_metric = "held_out_loss"

        def __init__(self) -> None:
            self.losses = iter((9.0, 3.0, 1.0, 2.0, 4.0, 5.0, 6.0))

        def evaluate(self, *_: object) -> dict[str, float]:
            return {"held_out_loss": next(self.losses)}

    often = settings(eval_every=2, checkpoint_every=2, log_every=2, keep_last=1, keep_best=2)
    context, told = context_in(tmp_path), Told()

    def stopping(number: int) -> TokenRows:
        if number > 6:
            raise Stop
        return toy_rows(number)

    with pytest.raises(Stop):
        fit(tiny(0.0), MASKING, stopping, often, context, told)
    again = EventRecorder()
    fit(tiny(0.0), MASKING, toy_rows, often, replace(context, sink=again), told)
    kept = sorted(folder.name for folder in (context.scratch / "checkpoints").iterdir())
    assert kept == ["step-00000004", "step-00000006", "step-00000010"]
    events = [event for event in again.events if isinstance(event, WeightsKept)]
    assert [event.kept for event in events] == [(4, 6), (4, 6, 8), (4, 6, 10), ()]
    assert [event.step for event in events] == [6, 8, 10, 12]
    assert Path(events[-2].folder).name == "step-00000010"
    assert (events[0].measured, events[-2].measured, events[-1].measured) == ((), *[("held_out_loss",)] * 2)


@pytest.mark.parametrize("final", ["best", "last"])
@pytest.mark.parametrize(("keep", "keep_best", "patience"), [(1, 0, 2), (1, 3, 4), (2, 2, None)])
def test_keep_best_and_early_stopping_survive_repeated_resumes(
    tmp_path: Path, final: str, keep: int, keep_best: int, patience: int | None
) -> None:
    """Interrupted repeatedly, training ends at the same step with the same weights and checkpoints."""

    def opposite(number: int) -> TokenRows:
        rows = toy_rows(number)
        return replace(rows, tokens=rows.tokens[:, ::-1].copy())

    chosen = settings(
        steps=32, learning_rate=0.01, eval_every=4, checkpoint_every=6, final=final, keep_last=keep,
        keep_best=keep_best, patience=patience,
    )  # fmt: skip
    misleading = held_out_loss(MASKING, opposite, 1)
    ends = []
    for name, cuts in (("whole", []), ("cut", [3, 9, 10, 15, 22, 23])):
        context = context_in(tmp_path / name)
        for cut in [*cuts, 1000]:

            def until(number: int, cut: int = cut) -> TokenRows:
                if number > cut:
                    raise Stop
                return toy_rows(number)

            model = tiny(0.0)
            with suppress(Stop):
                progress = fit(model, MASKING, until, chosen, context, misleading)
        kept = sorted(folder.name for folder in (context.scratch / "checkpoints").iterdir())
        ends.append((progress, kept, model))
    (whole, kept_whole, model_whole), (cut_one, kept_cut, model_cut) = ends
    assert (whole, kept_whole) == (cut_one, kept_cut)
    assert equal_weights(model_whole, model_cut)
    assert (whole.step < 32) == (patience is not None)


def test_patience_stops_training_without_improvement(tmp_path: Path) -> None:
    still = settings(steps=400, learning_rate=1e-12, eval_every=3, patience=2)
    recorder = EventRecorder()
    progress = fit(tiny(0.0), MASKING, toy_rows, still, context_in(tmp_path, recorder), held_out())
    assert progress.step < 60
    assert f"stopped after step {progress.step} of 400: 2 evaluations were no better than" in recorder.notes()


def manager_of(folder: Path, **changes: object) -> CheckpointManager:
    model = tiny()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return CheckpointManager(
        Accelerator(cpu=True), model, optimizer, CarriedStates(), settings(**changes), context_in(folder)
    )


@pytest.mark.parametrize(("asked", "is_async"), [("auto", False), (True, True), (False, False)])
def test_checkpoints_of_a_cpu_are_written_in_the_background_only_if_asked(
    tmp_path: Path, asked: object, is_async: bool
) -> None:
    assert manager_of(tmp_path, async_checkpoints=asked).is_async is is_async


@pytest.mark.parametrize("is_async", [False, True])
def test_checkpoint_that_cannot_be_written_fails_the_training(tmp_path: Path, is_async: bool) -> None:
    manager = manager_of(tmp_path, async_checkpoints=is_async)
    manager.root.parent.mkdir(parents=True, exist_ok=True)
    manager.root.touch()

    def save() -> None:
        manager.save(TrainState(step=3))
        manager.wait()

    with pytest.raises(OSError, match="cannot write the checkpoint of step 3"):
        save()
    manager.wait()  # the error is raised once
