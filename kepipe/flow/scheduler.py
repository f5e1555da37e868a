"""The one process of a workspace that fires what is due: until it is stopped, or once."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.config import ConfigError
from kepipe.files import lock
from kepipe.flow.firing import Firings, Means, read_begun
from kepipe.flow.history import Result
from kepipe.flow.schedules import entries, jobs_of, open_store

if TYPE_CHECKING:
    from kepipe.flow.jobstore import JobStore

BEAT = 1.0
"""Seconds between looks at the job store, where other processes write."""
JUMP = 5.0
"""Seconds by which a clock that was set back is told from one that is only corrected."""
REST = 5.0
"""Longest pause, in seconds, before a scheduler that looks once looks again at what has just changed."""


def is_served(workspace: Path) -> bool:
    """Whether a scheduler runs for this workspace."""
    with _only_one(workspace) as mine:
        return not mine


def serve(workspace: Path, means: Means) -> None:
    """Fire what is due until SIGTERM or Ctrl-C comes; pipelines at work are interrupted then.

    What was missed while no scheduler ran is fired once, at the start, and so is what a kill cut off. Raises
    ConfigError where another scheduler serves the workspace.
    """
    stop = threading.Event()
    with _alone(workspace), _on_signal(stop):
        means.tell(f"schedules of {workspace}: {len(entries(workspace))}; Ctrl-C stops")
        with open_store(workspace) as store:
            set_right(workspace, store)
        firings, watch = Firings(workspace, means), ClockWatch()
        logging.getLogger("apscheduler").setLevel(logging.ERROR)  # a look that is still at work is no warning
        with jobs_of(workspace, firings.fire_if_due, firings.stop) as scheduler:
            while not stop.wait(BEAT):
                if watch.set_back():
                    means.tell("the clock was set back: schedules go by the new time")
                    set_right(workspace, scheduler._jobstores["default"])
                scheduler.wakeup()  # it would sleep until the next firing that it knew of


def serve_once(workspace: Path, means: Means) -> list[Result]:
    """Fire what is due now, one after the other, and what follows from that; for cron and for CI.

    What has just changed is looked at again after a pause. Returns how each firing went. Raises ConfigError where a
    scheduler serves the workspace.
    """
    with _alone(workspace):
        firings = Firings(workspace, means)
        results: list[Result] = []
        fired: set[str] = set()
        rested = False
        while True:
            ended = dict(_fire_each(workspace, firings, fired))
            fired |= ended.keys()
            results += ended.values()
            if not ended and (rested or not firings.soon):
                return results
            rested = not ended  # what a firing writes others may read, and look at twice
            if firings.soon:
                time.sleep(REST)


def _fire_each(workspace: Path, firings: Firings, fired: set[str]) -> Iterator[tuple[str, Result]]:
    """Fire what is due, each at most once."""
    for entry in entries(workspace):
        now = datetime.now().astimezone()
        due = entry.next is not None and (entry.next <= now or entry.schedule.when.looks)
        if entry.next is not None and read_begun(workspace, entry.name) is not None:
            due = True
        if not due or entry.name in fired:
            continue
        with open_store(workspace) as store:
            store.set_next(entry.name, entry.schedule.when.timetable().get_next_fire_time(None, now))
        result = firings.fire_if_due(entry.name, entry.schedule)
        if result is not None:
            yield entry.name, result


def set_right(workspace: Path, store: JobStore) -> None:
    """What a scheduler mends as it starts, and where the clock was set back.

    A firing that was cut off is due at once, and so is each look. What is due later than it would be, were it added
    now, is of a clock that has been set back.
    """
    now = datetime.now().astimezone()
    for job in store.get_all_jobs():
        if job.next_run_time is None:
            continue
        if job.kwargs["schedule"].when.looks or read_begun(workspace, job.id) is not None:
            store.set_next(job.id, now)
        elif (following := job.trigger.get_next_fire_time(None, now)) and job.next_run_time > following:
            store.set_next(job.id, following)


@dataclass
class ClockWatch:
    """Notices where the wall clock is set back, by a clock that nobody sets. Both in seconds."""

    wall: Callable[[], float] = time.time
    steady: Callable[[], float] = time.monotonic
    _apart: float = field(init=False)

    def __post_init__(self) -> None:
        self._apart = self.wall() - self.steady()

    def set_back(self) -> bool:
        """Whether it was since the last call."""
        before, self._apart = self._apart, self.wall() - self.steady()
        return self._apart < before - JUMP


@contextmanager
def _alone(workspace: Path) -> Iterator[None]:
    with _only_one(workspace) as mine:
        if not mine:
            raise ConfigError(
                f"{workspace}: a scheduler runs already; `kepipe schedule list` shows what it does"
            )
        yield


@contextmanager
def _on_signal(stop: threading.Event) -> Iterator[None]:
    """Let SIGTERM and Ctrl-C set `stop`."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, lambda *_: stop.set())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _only_one(workspace: Path) -> AbstractContextManager[bool]:
    """Hold the right to be the scheduler of a workspace; False where another process has it."""
    return lock(workspace / "schedule.lock", timeout=0)
