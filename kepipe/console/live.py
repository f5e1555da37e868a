"""Live display of a run on a terminal: past events as lines, work in progress as bars below them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Self

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

from kepipe.console.run import describe, loss_of, rate_text
from kepipe.flow.events import (
    Event,
    Metrics,
    Noted,
    Progressed,
    RunEnded,
    RunStarted,
    StageCached,
    StageEnded,
)
from kepipe.terminal import console


@dataclass(frozen=True)
class Bar:
    """A progress bar: its task, its start (monotonic seconds), and the units that were done at the start."""

    task: TaskID
    started: float
    first: int


class Live:
    """A sink with a live display. Use it as a context manager, which removes the bars at its end."""

    def __init__(self) -> None:
        self._display = Progress(
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
            console=console(),
            transient=True,
        )
        self._bars: dict[tuple[str, str], Bar] = {}
        """(stage, task) → its bar."""
        self._latest: dict[str, str] = {}
        """Stage → its last logged loss."""

    def __enter__(self) -> Self:
        self._display.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._display.stop()

    def __call__(self, event: Event) -> None:
        if isinstance(event, Progressed):
            self._draw(event)
            return
        if isinstance(event, Metrics) and event.step is not None:
            self._latest[event.stage] = loss_of(event.values)
            return
        if isinstance(event, StageEnded):
            for name in [name for name in self._bars if name[0] == event.stage]:
                self._display.remove_task(self._bars.pop(name).task)
        line = describe(event)
        if line:
            self._display.console.print(line, style=_style(event), highlight=False, markup=False)

    def _draw(self, event: Progressed) -> None:
        name = (event.stage, event.what)
        if name not in self._bars:
            task = self._display.add_task(
                event.what, total=event.total, stage=event.stage, rate="", latest=""
            )
            self._bars[name] = Bar(task, time.monotonic(), event.done)
        bar = self._bars[name]
        rate = (event.done - bar.first) / max(time.monotonic() - bar.started, 1e-9)
        latest = self._latest.get(event.stage, "")
        self._display.update(bar.task, completed=event.done, rate=rate_text(rate, event.unit), latest=latest)
        if event.total is not None and event.done >= event.total:
            self._display.remove_task(self._bars.pop(name).task)


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
