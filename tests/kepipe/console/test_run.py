"""The output of a run on a terminal and elsewhere."""

from __future__ import annotations

import pytest

from kepipe.console.live import Live
from kepipe.console.run import Lines, describe, rate_text
from kepipe.flow.events import Event, Metrics, Noted, Progressed, RunEnded, StageEnded


@pytest.mark.parametrize(
    ("event", "message"),
    [
        (StageEnded(stage="link", status="finished", seconds=3.21), "  link       done in 3.2 s"),
        (StageEnded(stage="link", status="failed", seconds=61), "  link       failed after 1 min 01 s"),
        (StageEnded(stage="link", status="killed", seconds=61), "  link       interrupted after 1 min 01 s"),
        (RunEnded(status="finished", seconds=2), "finished in 2.0 s"),
        (RunEnded(status="killed", seconds=2), "interrupted after 2.0 s"),
        (
            Metrics(stage="link", values={"f1": 0.51239, "mentions": 1612.0}),
            "  link       f1 0.5124  mentions 1,612",
        ),
        (Metrics(stage="link", values={"loss": 0.5}, step=3), ""),
        (Noted(stage="link", level="warning", message="odd"), "  link       warning: odd"),
    ],
)
def test_event_is_described_in_one_line(event: Event, message: str) -> None:
    assert describe(event) == message


def test_terminal_shows_progress_bars_and_event_lines(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Live() as live:
        for done in (0, 5):
            live(Progressed(stage="train", what="training", done=done, total=10, unit="steps"))
        live(Metrics(stage="train", values={"loss": 2.5}, step=5))
        live(Progressed(stage="train", what="training", done=6, total=10, unit="steps"))
        (bar,) = live._display.tasks
        assert (bar.completed, bar.fields["latest"]) == (6, "loss 2.500")
        assert "steps/s" in bar.fields["rate"]
        live(Progressed(stage="train", what="training", done=10, total=10, unit="steps"))
        assert not live._display.tasks
        live(Progressed(stage="train", what="saving", done=0, total=None, unit=""))
        live(StageEnded(stage="train", status="killed", seconds=1.0))
        assert not live._display.tasks
    assert "train      interrupted after 1.0 s" in capsys.readouterr().out


def test_output_without_a_terminal_is_throttled(capsys: pytest.CaptureFixture[str]) -> None:
    often, seldom = Lines(every=0.0), Lines(every=3600.0)
    for sink in (often, seldom):
        sink(Progressed(stage="train", what="training", done=0, total=10, unit="steps"))
        sink(Metrics(stage="train", values={"loss": 2.5}, step=5))
        sink(Progressed(stage="train", what="training", done=5, total=10, unit="steps"))
        lines = capsys.readouterr().out.splitlines()
        if sink is often:
            assert "  train      training: 5 of 10 steps" in lines[-1]
            assert "loss 2.500" in lines[-1]
            assert "left" in lines[-1]
        else:
            assert lines == []


def test_rate_below_one_is_shown_as_seconds_per_step() -> None:
    assert rate_text(0.125, "steps") == "8 s/step"
    assert rate_text(12.0, "steps") == "12 steps/s"
    assert rate_text(0.0, "steps") == rate_text(3.0, "") == ""
