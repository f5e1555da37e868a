"""How a run looks: a live display on a terminal, plain lines elsewhere, or one JSON object a line."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
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


@contextmanager
def open_console(log_json: bool) -> Iterator[Sink]:
    """The sink that fits the standard output."""
    if log_json:
        yield _print_json
    elif sys.stdout.isatty():
        from kepipe.cli.live import Live

        with Live() as live:
            yield live
    else:
        yield _print_line


def _print_json(event: Event) -> None:
    if not isinstance(event, Progressed):
        echo(json.dumps({"event": type(event).__name__, **asdict(event)}, default=str))


def _print_line(event: Event) -> None:
    line = describe(event)
    if line:
        echo(line)


def describe(event: Event) -> str:
    """The event as a line for people; empty for those that only a live display shows."""
    match event:
        case RunStarted():
            return f"{event.pipeline}: run {event.run}"
        case StageStarted():
            return f"  {event.stage:<10} {'continues' if event.resumed else 'starts'}"
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
