"""Pipelines on a schedule: a job store in a file, and one process that fires what is due.

`add`, `entries` and `remove` may be called from any process; a scheduler that runs notices within a second.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kepipe.config import ConfigError
from kepipe.files import lock
from kepipe.flow.cron import trigger
from kepipe.flow.scheduled_run import Result, fire, interrupt_all, last_result

if TYPE_CHECKING:
    from apscheduler.schedulers.background import BackgroundScheduler

BEAT = 1.0
"""Seconds between looks at the job store, where other processes write."""


@dataclass(frozen=True)
class Entry:
    """A schedule. `next` is when it fires next, `last` how the last firing went."""

    name: str
    pipeline: Path
    cron: str
    overrides: tuple[str, ...]
    next: datetime | None
    last: Result | None


def add(workspace: Path, pipeline: Path, cron: str, overrides: Sequence[str] = (), name: str = "") -> Entry:
    """Run a pipeline whenever `cron` says so. A schedule of the same name (the file's, unless given) is replaced.

    Raises ConfigError for a bad expression or name, FileNotFoundError for a pipeline that is not there.
    """
    from kepipe.flow.jobstore import FIRE, NAME

    when, name = trigger(cron), name or pipeline.stem
    if not pipeline.is_file():
        raise FileNotFoundError(f"{pipeline}: no such pipeline file")
    if not NAME.fullmatch(name) or name == "locks":
        raise ConfigError(f"schedule name {name!r}: expected letters, digits, dots, dashes and underscores")
    arguments = {
        "workspace": str(workspace.resolve()),
        "name": name,
        "pipeline": str(pipeline.resolve()),
        "overrides": list(overrides),
    }
    with _jobs(workspace) as scheduler:
        _drop(scheduler, name)
        scheduler.add_job(
            FIRE,
            when,
            id=name,
            name=cron,
            kwargs=arguments,
            coalesce=True,  # what was missed is made up for by one firing, however late
            misfire_grace_time=None,
            max_instances=1,
        )
    return find(workspace, name)


def entries(workspace: Path) -> list[Entry]:
    """Every schedule, the one that fires next first."""
    with _jobs(workspace) as scheduler:
        return [_entry(workspace, job) for job in scheduler.get_jobs()]


def find(workspace: Path, name: str) -> Entry:
    """A schedule by its name. Raises ConfigError for one that is not there."""
    known = {entry.name: entry for entry in entries(workspace)}
    if name not in known:
        raise ConfigError(f"no schedule `{name}`; there are: {', '.join(sorted(known)) or 'none'}")
    return known[name]


def remove(workspace: Path, name: str) -> None:
    """Forget a schedule. Raises ConfigError for a name that is not there."""
    find(workspace, name)
    with _jobs(workspace) as scheduler:
        _drop(scheduler, name)


def run_now(workspace: Path, name: str) -> Result:
    """Fire a schedule once, now, and wait for it. Raises ConfigError for a name that is not there."""
    entry = find(workspace, name)
    return fire(str(workspace.resolve()), name, str(entry.pipeline), entry.overrides)


def is_served(workspace: Path) -> bool:
    """Whether a scheduler runs for this workspace."""
    with _only_one(workspace) as mine:
        return not mine


def serve(workspace: Path, tell: Callable[[str], None]) -> None:
    """Fire what is due until SIGTERM or Ctrl-C comes; pipelines at work are interrupted then.

    What was missed while no scheduler ran is fired once, at the start. Raises ConfigError where another
    scheduler serves the workspace.
    """
    stop = threading.Event()
    with _only_one(workspace) as mine:
        if not mine:
            raise ConfigError(
                f"{workspace}: a scheduler runs already; `kepipe schedule list` shows what it does"
            )
        with _on_signal(stop):
            tell(f"schedules of {workspace}: {len(entries(workspace))}; Ctrl-C stops")
            _fire_until(stop, workspace, tell)


def _fire_until(stop: threading.Event, workspace: Path, tell: Callable[[str], None]) -> None:
    with _jobs(workspace, scheduled_run=True) as scheduler:
        _announce(scheduler, tell)
        while not stop.wait(BEAT):
            scheduler.wakeup()  # it would sleep until the next firing that it knew of


def _entry(workspace: Path, job: Any) -> Entry:
    pipeline, overrides = Path(job.kwargs["pipeline"]), tuple(job.kwargs["overrides"])
    return Entry(job.id, pipeline, job.name, overrides, job.next_run_time, last_result(workspace, job.id))


def _drop(scheduler: BackgroundScheduler, name: str) -> None:
    from apscheduler.jobstores.base import JobLookupError

    with suppress(JobLookupError):
        scheduler.remove_job(name)


@contextmanager
def _jobs(workspace: Path, scheduled_run: bool = False) -> Iterator[BackgroundScheduler]:
    """A scheduler on the workspace's job store. Unless `scheduled_run`, it only reads and writes there."""
    from apscheduler.executors.pool import ThreadPoolExecutor
    from apscheduler.schedulers.background import BackgroundScheduler

    from kepipe.flow.jobstore import JobStore

    store = JobStore(workspace / "schedule.sqlite", scheduled_run)
    scheduler = BackgroundScheduler(
        jobstores={"default": store}, executors={"default": ThreadPoolExecutor(8)}
    )
    scheduler.start(paused=not scheduled_run)
    try:
        yield scheduler
    finally:
        store.scheduled_run = False
        interrupt_all()
        scheduler.shutdown(wait=True)


def _announce(scheduler: BackgroundScheduler, tell: Callable[[str], None]) -> None:
    from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_EXECUTED, EVENT_JOB_SUBMITTED

    def say(event: Any) -> None:
        at = f"{datetime.now():%Y-%m-%d %H:%M:%S}  {event.job_id}"
        if event.code == EVENT_JOB_SUBMITTED:
            tell(f"{at}  fires")
        elif event.code == EVENT_JOB_ERROR:
            tell(f"{at}  failed: {event.exception}")
        else:
            result: Result = event.retval
            log = f"; see {result.log}" if result.outcome == "failed" else ""
            tell(f"{at}  {result.outcome} after {result.seconds:.1f} s{log}")

    scheduler.add_listener(say, EVENT_JOB_SUBMITTED | EVENT_JOB_EXECUTED | EVENT_JOB_ERROR)


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
