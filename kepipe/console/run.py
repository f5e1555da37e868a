"""Console output of a run: a live display on a terminal, plain lines elsewhere, or JSON lines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict

from kepipe.flow.events import (
    Event,
    Metrics,
    ModelOffered,
    Noted,
    Progressed,
    RunEnded,
    RunStarted,
    Sink,
    StageCached,
    StageEnded,
    StageStarted,
)
from kepipe.terminal import echo

LINE_INTERVAL = 30.0
"""Seconds between progress lines without a terminal."""


@contextmanager
def open_console(log_json: bool) -> Iterator[Sink]:
    """The sink for standard output: JSON, live display or lines."""
    if log_json:
        yield _print_json
    elif sys.stdout.isatty():
        from kepipe.console.live import Live

        with Live() as live:
            yield live
    else:
        yield Lines()


def _print_json(event: Event) -> None:
    if not isinstance(event, Progressed):
        echo(json.dumps({"event": type(event).__name__, **asdict(event)}, default=str))


class Lines:
    """A sink that prints events as lines, and periodically the progress of running tasks with the last loss."""

    def __init__(self, every: float = LINE_INTERVAL) -> None:
        self._every = every
        self._started: dict[tuple[str, str], tuple[float, int]] = {}
        """(stage, task) → its start (monotonic seconds), and the units that were done at the start."""
        self._last_line = time.monotonic()
        self._latest: dict[str, str] = {}

    def __call__(self, event: Event) -> None:
        if isinstance(event, Metrics) and event.step is not None:
            self._latest[event.stage] = loss_of(event.values)
        elif isinstance(event, Progressed):
            self._progress(event)
        elif line := describe(event):
            self._last_line = time.monotonic()
            echo(line)

    def _progress(self, event: Progressed) -> None:
        now = time.monotonic()
        started, first = self._started.setdefault((event.stage, event.what), (now, event.done))
        if now - self._last_line < self._every:
            return
        self._last_line = now
        of = "" if event.total is None else f" of {event.total:,}"
        rate = (event.done - first) / max(now - started, 1e-9)
        details = [rate_text(rate, event.unit), _time_left(event, rate), self._latest.get(event.stage, "")]
        words = ", ".join(word for word in (f"{event.done:,}{of} {event.unit}".rstrip(), *details) if word)
        echo(f"  {event.stage:<10} {event.what}: {words}")


def rate_text(rate: float, unit: str) -> str:
    """`12 steps/s`, or `2.5 s/step` if a unit takes more than a second."""
    if not unit or not rate:
        return ""
    return f"{rate:,.3g} {unit}/s" if rate >= 1 else f"{1 / rate:,.3g} s/{unit.removesuffix('s')}"


def loss_of(values: Mapping[str, float]) -> str:
    """The loss in logged values, `loss 2.345`; "" if there is none."""
    loss = next((name for name in values if "loss" in name), None)
    return f"{loss} {values[loss]:.3f}" if loss else ""


def _time_left(event: Progressed, rate: float) -> str:
    if event.total is None or not rate:
        return ""
    return f"{_duration((event.total - event.done) / rate)} left"


def describe(event: Event) -> str:
    """The event as a line; empty for those that only a live display shows."""
    match event:
        case RunStarted():
            return f"{event.pipeline}: run {event.run}"
        case StageStarted():
            return f"  {event.stage:<10} {'resumes' if event.resumed else 'starts'}"
        case StageCached():
            return f"  {event.stage:<10} cached, made by run {event.maker}"
        case StageEnded() if event.status == "finished":
            return f"  {event.stage:<10} done in {_duration(event.seconds)}"
        case StageEnded():
            end = "interrupted" if event.status == "killed" else "failed"
            return f"  {event.stage:<10} {end} after {_duration(event.seconds)}"
        case Metrics(step=None):
            values = "  ".join(f"{name} {_number(value)}" for name, value in event.values.items())
            return f"  {event.stage:<10} {values}"
        case Noted():
            mark = "warning: " if event.level == "warning" else ""
            return f"  {event.stage:<10} {mark}{event.message}"
        case ModelOffered():
            return f"  {event.stage:<10} offers model {event.name}"
        case RunEnded():
            end = "interrupted after" if event.status == "killed" else f"{event.status} in"
            return f"{end} {_duration(event.seconds)}"
    return ""


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.4g}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
