"""The scheduler: the one process of a workspace that fires due schedules, continuously or once."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.config import ConfigError
from kepipe.files import is_locked, lock
from kepipe.flow.firing import SchedulerOptions, ScheduleRunner, read_pending
from kepipe.flow.history import Result
from kepipe.flow.schedules import entries, jobs_of, open_store

if TYPE_CHECKING:
    from kepipe.flow.jobstore import JobStore

POLL_SECONDS = 1.0
"""Seconds between reads of the job store, where other processes write."""
CLOCK_JUMP = 5.0
"""Minimum seconds by which a clock is set back to count as a jump and not as a correction."""
RECHECK_SECONDS = 5.0
"""Seconds before `run_due_once` checks again for sources that have just changed."""


def is_served(workspace: Path) -> bool:
    """Whether a scheduler is running for this workspace."""
    return is_locked(_lock_file(workspace))


def serve(workspace: Path, options: SchedulerOptions) -> None:
    """Fire due schedules until SIGTERM or Ctrl-C, which interrupts running pipelines.

    Schedules that were due while no scheduler ran fire once at the start; runs that a kill cut off are resumed. Raises
    ConfigError if another scheduler is running for the workspace.
    """
    stop = threading.Event()
    with _exclusive(workspace), _on_signal(stop):
        options.tell(f"schedules of {workspace}: {len(entries(workspace))}; Ctrl-C stops")
        with open_store(workspace) as store:
            repair_due_times(workspace, store)
        runner, watch = ScheduleRunner(workspace, options), ClockWatch()
        logging.getLogger("apscheduler").setLevel(logging.ERROR)  # no warnings about checks still running
        with jobs_of(workspace, runner.fire_if_due, runner.stop) as scheduler:
            while not stop.wait(POLL_SECONDS):
                if watch.set_back():
                    options.tell("the clock was set back: schedules follow the new time")
                    repair_due_times(workspace, scheduler._jobstores["default"])
                scheduler.wakeup()  # otherwise it sleeps until the next run time that it knows


def run_due_once(workspace: Path, options: SchedulerOptions) -> list[Result]:
    """Fire due schedules one after the other, and those that follow them; for cron and CI.

    Sources that have just changed are checked again after a pause. Returns the results of the runs. Raises ConfigError
    if a scheduler is running for the workspace.
    """
    with _exclusive(workspace):
        runner = ScheduleRunner(workspace, options)
        results: list[Result] = []
        fired: set[str] = set()
        rechecked = False
        while True:
            ended = dict(_fire_each(workspace, runner, fired))
            fired |= ended.keys()
            results += ended.values()
            if not ended and (rechecked or not runner.recheck_soon):
                return results
            rechecked = not ended  # a run may change the sources of other schedules
            if runner.recheck_soon:
                time.sleep(RECHECK_SECONDS)


def _fire_each(workspace: Path, runner: ScheduleRunner, fired: set[str]) -> Iterator[tuple[str, Result]]:
    """Fire due schedules, each at most once."""
    for entry in entries(workspace):
        now = datetime.now().astimezone()
        due = entry.next is not None and (entry.next <= now or entry.schedule.when.polls)
        if entry.next is not None and read_pending(workspace, entry.name) is not None:
            due = True
        if not due or entry.name in fired:
            continue
        with open_store(workspace) as store:
            store.set_next(entry.name, entry.schedule.when.timetable().get_next_fire_time(None, now))
        result = runner.fire_if_due(entry.name, entry.schedule)
        if result is not None:
            yield entry.name, result


def repair_due_times(workspace: Path, store: JobStore) -> None:
    """Correct the next run times, at the start of a scheduler and after the clock was set back.

    Runs that were cut off and triggers that check something are due at once. A run time later than that of the same
    schedule added now was computed before the clock was set back, and is computed anew.
    """
    now = datetime.now().astimezone()
    for job in store.get_all_jobs():
        if job.next_run_time is None:
            continue
        if job.kwargs["schedule"].when.polls or read_pending(workspace, job.id) is not None:
            store.set_next(job.id, now)
        elif (following := job.trigger.get_next_fire_time(None, now)) and job.next_run_time > following:
            store.set_next(job.id, following)


@dataclass
class ClockWatch:
    """Detects that the wall clock was set back, by comparison with the monotonic clock. Both in seconds."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    _offset: float = field(init=False)

    def __post_init__(self) -> None:
        self._offset = self.wall() - self.monotonic()

    def set_back(self) -> bool:
        """Whether the wall clock was set back since the last call."""
        before, self._offset = self._offset, self.wall() - self.monotonic()
        return self._offset < before - CLOCK_JUMP


@contextmanager
def _exclusive(workspace: Path) -> Iterator[None]:
    # not at once: a process that asks `is_served` holds a shared lock for a moment
    with lock(_lock_file(workspace), timeout=1) as acquired:
        if not acquired:
            raise ConfigError(
                f"{workspace}: a scheduler is already running; `kepipe schedule list` shows its schedules"
            )
        yield


@contextmanager
def _on_signal(stop: threading.Event) -> Iterator[None]:
    """Set `stop` on SIGTERM and Ctrl-C."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, lambda *_: stop.set())
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _lock_file(workspace: Path) -> Path:
    """The file whose lock the scheduler of a workspace holds."""
    return workspace / "schedule.lock"
