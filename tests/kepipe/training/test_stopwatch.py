"""A time budget instead of steps: the learning rate follows the time used, which is checkpointed."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from kepipe.data.batch import TokenRows
from kepipe.flow.events import Progressed
from tests.support.toy_training import (
    MASKING,
    EventRecorder,
    context_in,
    fit,
    held_out_loss,
    settings,
    tiny,
    toy_rows,
)


class Stop(Exception):
    """Simulates a killed process."""


@pytest.fixture
def _half_a_second_an_update(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock is read once before the first update and once after each."""
    times = count()
    monkeypatch.setattr("kepipe.training.stopwatch.perf_counter", lambda: next(times) / 2)


@pytest.mark.usefixtures("_half_a_second_an_update")
def test_time_budget_ends_training_and_sets_the_learning_rate(tmp_path: Path) -> None:
    recorder = EventRecorder()
    held_out = held_out_loss(MASKING, lambda number: toy_rows(1_000 + number), 2)
    half = settings(budget="10s", learning_rate=1.0, warmup=0.5, log_every=1, eval_every=7)
    state = fit(tiny(), MASKING, toy_rows, half, context_in(tmp_path, recorder), held_out)
    assert (state.step, state.seconds) == (20, 10.0)
    rates = recorder.metric("learning_rate")
    assert [rates[step] for step in (1, 6, 11, 16, 20)] == pytest.approx([0.0, 0.5, 1.0, 0.5, 0.1])
    assert list(recorder.metric("held_out_loss")) == [0, 7, 14, 20], "the last update is measured"
    bar = [event for event in recorder.events if isinstance(event, Progressed)]
    assert (bar[-1].done, bar[-1].total, bar[-1].unit) == (10, 10, "seconds")


@pytest.mark.usefixtures("_half_a_second_an_update")
def test_resumed_training_uses_the_remaining_time_budget(tmp_path: Path) -> None:
    def stopping(number: int) -> TokenRows:
        if number > 20:
            raise Stop
        return toy_rows(number)

    growing = settings(budget="10s", accumulate=4, batch_tokens=512, batch_ramp=0.5, checkpoint_every=5)
    with pytest.raises(Stop):
        fit(tiny(), MASKING, stopping, growing, context_in(tmp_path))
    recorder = EventRecorder()
    state = fit(tiny(), MASKING, toy_rows, growing, context_in(tmp_path, recorder))
    assert "continuing after step 15 with 8 s of its budget used" in recorder.notes()
    assert (state.step, state.seconds) == (20, 10.0)
    assert 20 < state.micro_batches < 4 * 20, "updates had fewer parts first"
