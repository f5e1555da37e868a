"""The schedules of a workspace, in a file: any process may add, list, pause, remove and run them.

A running scheduler (`kepipe.flow.scheduler`) picks up changes within a second.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kepipe.config import ConfigError, suggest
from kepipe.flow.firing import SchedulerOptions, ScheduleRunner, trigger_context, write_state
from kepipe.flow.history import Result, last_result
from kepipe.flow.schedule import Schedule, check_name
from kepipe.flow.triggers.after import After

if TYPE_CHECKING:
    from apscheduler.schedulers.background import BackgroundScheduler

    from kepipe.flow.jobstore import Fire, JobStore

THREADS = 32
"""Maximum number of schedules that check, run or wait for a retry at the same time."""


@dataclass(frozen=True)
class Entry:
    """A schedule. `next`: when it next fires or is checked, None if paused; `last`: the result of its last run."""

    name: str
    schedule: Schedule
    next: datetime | None
    last: Result | None

    @property
    def pipeline(self) -> Path:
        """The pipeline's file."""
        return Path(self.schedule.pipeline)


def add(workspace: Path, name: str, schedule: Schedule, options: SchedulerOptions | None = None) -> Entry:
    """Add a schedule; one of the same name is replaced.

    Raises ConfigError for an invalid name or trigger or for an unknown schedule to follow, FileNotFoundError for a
    missing pipeline file.
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

        scheduler.add_job(refuse, timetable, id=name, name=schedule.when.label,
                          kwargs={"name": name, "schedule": schedule})  # fmt: skip
    options = options or SchedulerOptions()
    context = trigger_context(workspace, name, schedule, options.sources)
    write_state(workspace, name, schedule.when.initial_state(context))
    return find(workspace, name)


def _check_chain(name: str, schedule: Schedule, known: dict[str, Schedule]) -> None:
    """Raise ConfigError if a schedule would follow an unknown one, or, through a chain, itself."""
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
    """All schedules, in the order in which they fire next."""
    with jobs_of(workspace) as scheduler:
        return [_entry(workspace, job) for job in scheduler.get_jobs()]


def find(workspace: Path, name: str) -> Entry:
    """A schedule by its name. Raises ConfigError for an unknown name."""
    known = {entry.name: entry for entry in entries(workspace)}
    if name not in known:
        raise ConfigError(f"no schedule `{name}`; there are: {', '.join(sorted(known)) or 'none'}")
    return known[name]


def remove(workspace: Path, name: str) -> None:
    """Remove a schedule. Raises ConfigError for an unknown name, or if another schedule fires after it."""
    find(workspace, name)
    following = [
        each.name
        for each in entries(workspace)
        if isinstance(each.schedule.when, After) and each.schedule.when.after == name
    ]
    if following:
        raise ConfigError(f"{', '.join(following)} fires after {name}: remove {', '.join(following)} first")
    with jobs_of(workspace) as scheduler:
        _drop(scheduler, name)


def pause(workspace: Path, name: str) -> None:
    """Pause a schedule until it is resumed; a run in progress continues. Raises ConfigError for an unknown name."""
    find(workspace, name)
    with open_store(workspace) as store:
        store.set_next(name, None)


def resume(workspace: Path, name: str) -> Entry:
    """Resume a paused schedule. Raises ConfigError for an unknown name."""
    entry = find(workspace, name)
    if entry.next is None:
        now = datetime.now().astimezone()
        with open_store(workspace) as store:
            store.set_next(name, entry.schedule.when.timetable().get_next_fire_time(None, now))
    return find(workspace, name)


def next_times(entry: Entry, count: int) -> Iterator[datetime]:
    """The next `count` times at which a schedule fires or is checked."""
    timetable, at = entry.schedule.when.timetable(), entry.next
    for _ in range(count):
        if at is None:
            return
        yield at
        at = timetable.get_next_fire_time(at, at)


def run_now(workspace: Path, name: str, options: SchedulerOptions | None = None) -> Result:
    """Run a schedule's pipeline once, now, and wait for it. Raises ConfigError for an unknown name."""
    return ScheduleRunner(workspace, options or SchedulerOptions()).run_manually(
        name, find(workspace, name).schedule
    )


def _entry(workspace: Path, job: Any) -> Entry:
    return Entry(job.id, job.kwargs["schedule"], job.next_run_time, last_result(workspace, job.id))


def _drop(scheduler: BackgroundScheduler, name: str) -> None:
    from apscheduler.jobstores.base import JobLookupError

    with suppress(JobLookupError):
        scheduler.remove_job(name)


@contextmanager
def open_store(workspace: Path) -> Iterator[JobStore]:
    """The workspace's job store, for reading and writing."""
    with jobs_of(workspace) as scheduler:
        yield scheduler._jobstores["default"]


@contextmanager
def jobs_of(
    workspace: Path, fire: Fire | None = None, stop: Callable[[], None] = lambda: None
) -> Iterator[BackgroundScheduler]:
    """APScheduler on the workspace's job store. Without `fire` it is paused and only reads and writes jobs; `stop` is
    called before it waits for running jobs to end."""
    from apscheduler.executors.pool import ThreadPoolExecutor
    from apscheduler.schedulers.background import BackgroundScheduler

    from kepipe.flow.jobstore import JobStore

    store = JobStore(workspace / "schedule.sqlite", fire)
    scheduler = BackgroundScheduler(
        jobstores={"default": store},
        executors={"default": ThreadPoolExecutor(THREADS)},
    )
    scheduler.start(paused=fire is None)
    try:
        yield scheduler
    finally:
        store.fire = None
        stop()
        scheduler.shutdown(wait=True)
