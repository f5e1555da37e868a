"""How a run looks: a live display on a terminal, plain lines elsewhere, or one JSON object a line."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

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


@contextmanager
def open_console(log_json: bool) -> Iterator[Sink]:
    """The sink that fits the standard output."""
    if log_json:
        yield _print_json
    elif sys.stdout.isatty():
        with _live() as sink:
            yield sink
    else:
        yield _print_line


def _print_json(event: Event) -> None:
    if not isinstance(event, Progressed):
        print(json.dumps({"event": type(event).__name__, **asdict(event)}, default=str), flush=True)


def _print_line(event: Event) -> None:
    line = describe(event)
    if line:
        print(line, flush=True)


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
            return f"  {event.stage:<10} failed after {_duration(event.seconds)}"
        case Metrics(step=None):
            values = "  ".join(f"{name} {_number(value)}" for name, value in event.values.items())
            return f"  {event.stage:<10} {values}"
        case Noted():
            mark = "warning: " if event.level == "warning" else ""
            return f"  {event.stage:<10} {mark}{event.message}"
        case ModelOffered():
            return f"  {event.stage:<10} offers model {event.name}"
        case RunEnded():
            return f"{event.status} in {_duration(event.seconds)}"
    return ""


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == round(value) else f"{value:,.4g}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


@contextmanager
def _live() -> Iterator[Sink]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TaskID,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    bars = Progress(
        SpinnerColumn(),
        TextColumn("{task.fields[stage]:<10}"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeElapsedColumn(),
        TextColumn("·"),
        TimeRemainingColumn(),
        TextColumn("left"),
        TextColumn("{task.fields[latest]}"),
        transient=True,
    )
    tasks: dict[tuple[str, str], tuple[TaskID, float, int]] = {}
    latest: dict[str, str] = {}

    def show(event: Event) -> None:
        if isinstance(event, Progressed):
            name = (event.stage, event.what)
            if name not in tasks:
                task = bars.add_task(event.what, total=event.total, stage=event.stage, rate="", latest="")
                tasks[name] = (task, time.monotonic(), event.done)
            task, begun, first = tasks[name]
            rate = (event.done - first) / max(time.monotonic() - begun, 1e-9)
            shown = f"{rate:,.3g} {event.unit}/s" if event.unit and rate else ""
            bars.update(task, completed=event.done, rate=shown, latest=latest.get(event.stage, ""))
            if event.total is not None and event.done >= event.total:
                bars.remove_task(task)
                del tasks[name]
            return
        if isinstance(event, Metrics) and event.step is not None:
            latest[event.stage] = _glance(event.values)
            return
        if isinstance(event, StageEnded):
            for name in [name for name in tasks if name[0] == event.stage]:
                bars.remove_task(tasks.pop(name)[0])
        line = describe(event)
        if line:
            bars.console.print(line, style=_style(event), highlight=False, markup=False)

    with bars:
        yield show


def _glance(values: Any) -> str:
    loss = next((name for name in values if "loss" in name), None)
    return f"{loss} {values[loss]:.3f}" if loss else ""


def _style(event: Event) -> str:
    match event:
        case StageCached():
            return "dim"
        case StageEnded(status="finished") | RunEnded(status="finished"):
            return "green"
        case StageEnded() | RunEnded():
            return "red"
        case Noted(level="warning"):
            return "yellow"
        case RunStarted():
            return "bold"
    return ""
