"""The schedules of a workspace, in a file: added, listed, paused, removed and fired by hand from any process.

A scheduler that runs (`kepipe.flow.scheduler`) notices within a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kepipe.config import ConfigError, suggest
from kepipe.flow.firing import Firings, Means, keep, sight
from kepipe.flow.history import Result, last_result
from kepipe.flow.schedule import Schedule, check_name
from kepipe.flow.triggers.follows import After

if TYPE_CHECKING:
    from apscheduler.schedulers.background import BackgroundScheduler

    from kepipe.flow.jobstore import Fire, JobStore

THREADS = 32
"""Schedules that may look, run or wait for a retry at a time."""


@dataclass(frozen=True)
class Entry:
    """A schedule. `next` is when it fires or looks next, None where it is paused; `last` how the last firing went."""

    name: str
    schedule: Schedule
    next: datetime | None
    last: Result | None

    @property
    def pipeline(self) -> Path:
        """The pipeline's file."""
        return Path(self.schedule.pipeline)


def add(workspace: Path, name: str, schedule: Schedule, means: Means | None = None) -> Entry:
    """Keep a schedule; one of the same name is replaced.

    Raises ConfigError for a bad name, a trigger that means nothing, or a schedule to follow that is not there,
    FileNotFoundError for a pipeline that is not there.
    """
    pipeline = Path(schedule.pipeline).resolve()
    if not pipeline.is_file():
        raise FileNotFoundError(f"{pipeline}: no such pipeline file")
    check_name(name)
    schedule = schedule.model_copy(update={"pipeline": str(pipeline)})
    timetable = schedule.when.timetable()
    _check_chain(name, schedule, {entry.name: entry.schedule for entry in entries(workspace)})
    with jobs_of(workspace) as scheduler:
        _drop(scheduler, name)
        from kepipe.flow.jobstore import refuse

        scheduler.add_job(refuse, timetable, id=name, name=schedule.when.said,
                          kwargs={"name": name, "schedule": schedule})  # fmt: skip
    means = means or Means()
    keep(workspace, name, schedule.when.begin(sight(workspace, name, schedule, means.sources)))
    return find(workspace, name)


def _check_chain(name: str, schedule: Schedule, known: dict[str, Schedule]) -> None:
    """Raise ConfigError where a schedule would follow one that is not there, or in the end itself."""
    known = {**known, name: schedule}
    chain = [name]
    while isinstance(when := known[chain[-1]].when, After):
        if when.after not in known:
            names = sorted(known.keys() - {name})
            raise ConfigError(f"no schedule `{when.after}`{suggest(when.after, names)} to fire after")
        if when.after in chain:
            raise ConfigError(f"{' after '.join([*chain, when.after])}: none of them would ever fire")
        chain.append(when.after)


def entries(workspace: Path) -> list[Entry]:
    """Every schedule, the one that fires next first."""
    with jobs_of(workspace) as scheduler:
        return [_entry(workspace, job) for job in scheduler.get_jobs()]


def find(workspace: Path, name: str) -> Entry:
    """A schedule by its name. Raises ConfigError for one that is not there."""
    known = {entry.name: entry for entry in entries(workspace)}
    if name not in known:
        raise ConfigError(f"no schedule `{name}`; there are: {', '.join(sorted(known)) or 'none'}")
    return known[name]


def remove(workspace: Path, name: str) -> None:
    """Forget a schedule. Raises ConfigError for a name that is not there, or that another schedule follows."""
    find(workspace, name)
    following = [
        each.name
        for each in entries(workspace)
        if isinstance(each.schedule.when, After) and each.schedule.when.after == name
    ]
    if following:
        raise ConfigError(f"{', '.join(following)} would never fire again after {name}: remove that first")
    with jobs_of(workspace) as scheduler:
        _drop(scheduler, name)


def pause(workspace: Path, name: str) -> None:
    """Have a schedule fire no more until it is resumed; what runs goes on. Raises ConfigError for an unknown name."""
    find(workspace, name)
    with open_store(workspace) as store:
        store.set_next(name, None)


def resume(workspace: Path, name: str) -> Entry:
    """Have a paused schedule fire again, from now on. Raises ConfigError for a name that is not there."""
    entry = find(workspace, name)
    if entry.next is None:
        now = datetime.now().astimezone()
        with open_store(workspace) as store:
            store.set_next(name, entry.schedule.when.timetable().get_next_fire_time(None, now))
    return find(workspace, name)


def coming(entry: Entry, count: int) -> Iterator[datetime]:
    """The next times at which a schedule fires or looks."""
    timetable, at = entry.schedule.when.timetable(), entry.next
    for _ in range(count):
        if at is None:
            return
        yield at
        at = timetable.get_next_fire_time(at, at)


def run_now(workspace: Path, name: str, means: Means | None = None) -> Result:
    """Fire a schedule once, now, and wait for it. Raises ConfigError for a name that is not there."""
    return Firings(workspace, means or Means()).fire_by_hand(name, find(workspace, name).schedule)


def _entry(workspace: Path, job: Any) -> Entry:
    return Entry(job.id, job.kwargs["schedule"], job.next_run_time, last_result(workspace, job.id))


def _drop(scheduler: BackgroundScheduler, name: str) -> None:
    from apscheduler.jobstores.base import JobLookupError

    with suppress(JobLookupError):
        scheduler.remove_job(name)


@contextmanager
def open_store(workspace: Path) -> Iterator[JobStore]:
    """The job store of a workspace, to read and write."""
    with jobs_of(workspace) as scheduler:
        yield scheduler._jobstores["default"]


@contextmanager
def jobs_of(
    workspace: Path, fire: Fire | None = None, stop: Callable[[], None] = lambda: None
) -> Iterator[BackgroundScheduler]:
    """A scheduler on the workspace's job store. Unless it is to `fire`, it only reads and writes there; `stop` is
    called before it waits for what it fired."""
    from apscheduler.executors.pool import ThreadPoolExecutor
    from apscheduler.schedulers.background import BackgroundScheduler

    from kepipe.flow.jobstore import JobStore

    store = JobStore(workspace / "schedule.sqlite", fire)
    scheduler = BackgroundScheduler(
        jobstores={"default": store},
        executors={"default": ThreadPoolExecutor(THREADS)},
        job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1},
    )
    scheduler.start(paused=fire is None)
    try:
        yield scheduler
    finally:
        store.fire = None
        stop()
        scheduler.shutdown(wait=True)
