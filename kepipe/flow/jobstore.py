"""APScheduler job store in an SQLite file that several processes may use. Importing this imports APScheduler."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from apscheduler.job import Job
from apscheduler.jobstores.base import BaseJobStore, ConflictingIdError, JobLookupError
from apscheduler.util import datetime_to_utc_timestamp, utc_timestamp_to_datetime

from kepipe.config import ConfigError
from kepipe.files import lock, replacing, sqlite_writable
from kepipe.flow.history import Result
from kepipe.flow.schedule import NAME, Schedule
from kepipe.terminal import echo
from kg.regular_files import read_json

Fire = Callable[[str, Schedule], Result | None]
"""(name, schedule) → result of the run, or None if there was no reason to run."""
_FIRE = "kepipe.flow.jobstore:refuse"
_PICKLED = "apscheduler_jobs"
"""The table of APScheduler's own job store, which holds pickles."""
_TABLE = "CREATE TABLE IF NOT EXISTS jobs (id TEXT PRIMARY KEY, next REAL, job TEXT)"


def refuse(name: str, schedule: Schedule) -> Result | None:
    """Function of a job in a process that must not fire schedules."""
    raise RuntimeError(f"{name} ({schedule.pipeline}): this process fires no schedules")


def _is_whole(file: Path) -> bool:
    """Whether a file is a database that SQLite can read: not truncated, overwritten or empty."""
    if not file.stat().st_size:
        return False
    try:
        with closing(sqlite3.connect(file, timeout=30)) as connection:
            (check,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.OperationalError:
        return True  # busy, or on a disk that is full: no damage
    except sqlite3.DatabaseError:
        return False
    return bool(check == "ok")


class JobStore(BaseJobStore):  # type: ignore[misc]
    """APScheduler's jobs in an SQLite file, where other processes add and remove jobs too.

    A job is stored as JSON, a `Schedule`, and only ever calls `fire`: a file from an untrusted source can name another
    pipeline but executes nothing when it is read. Jobs belong to the workspace that holds the file now, even if it was
    moved since they were added. A damaged file is set aside and its jobs are restored from a mirror. In a folder that
    is not writable, jobs are read without a lock. Raises ConfigError for a file with another schema.
    """

    def __init__(self, file: Path, fire: Fire | None = None) -> None:
        super().__init__()
        self.file, self.fire = file.resolve(), fire
        """None if this process must not fire jobs. APScheduler processes due jobs once more while it shuts down, even
        when paused, and would mark them as fired."""
        self._read_only = not sqlite_writable(self.file)
        if self._read_only:
            with self._connection() as connection:
                self._refuse_pickles(connection)
            return
        file.parent.mkdir(parents=True, exist_ok=True)
        with lock(self._lock):
            if not self.file.exists():
                self._mirror.unlink(
                    missing_ok=True
                )  # the user removed the file: do not restore its schedules
            elif not _is_whole(self.file):
                self._restore()
            os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
            self._prepare()

    def _prepare(self) -> None:
        """Create the table. Raises ConfigError for a file with another schema."""
        with self._connection() as connection:
            self._refuse_pickles(connection)
            connection.execute(_TABLE)

    def _refuse_pickles(self, connection: sqlite3.Connection) -> None:
        if connection.execute("SELECT 1 FROM sqlite_master WHERE name = ?", (_PICKLED,)).fetchone():
            raise ConfigError(
                f"{self.file}: its schedules are pickled, which kepipe does not load; "
                "remove the file and add the schedules again"
            )

    @property
    def _lock(self) -> Path:
        return self.file.with_name(f"{self.file.name}.lock")

    @property
    def _mirror(self) -> Path:
        """Copy of the jobs as JSON, written whenever one is added, removed, paused or resumed."""
        return self.file.with_suffix(".json")

    def _restore(self) -> None:
        """Set a damaged file aside and fill a new one from the mirror. Jobs that were due since then fire once."""
        aside = self.file.with_name(f"{self.file.name}.damaged-{time.time_ns()}")
        self.file.rename(aside)
        try:
            rows = [tuple(row) for row in read_json(self._mirror)]
        except (OSError, ValueError, TypeError):
            rows = []
        os.close(os.open(self.file, os.O_CREAT | os.O_RDWR, 0o600))
        self._prepare()
        with self._connection() as connection:
            connection.executemany("INSERT INTO jobs VALUES (?, ?, ?)", rows)
        echo(
            f"{self.file.name} was damaged and is kept as {aside.name}; {len(rows)} schedules were restored",
            err=True,
        )

    def _write_mirror(self) -> None:
        with lock(self._lock), self._connection() as connection:
            rows = connection.execute("SELECT id, next, job FROM jobs ORDER BY id").fetchall()
            with replacing(self._mirror, concurrent=True) as unfinished:
                unfinished.touch(0o600)
                unfinished.write_text(json.dumps(rows))

    def lookup_job(self, job_id: str) -> Job | None:
        return next(iter(self._jobs("id = ?", job_id)), None)

    def get_due_jobs(self, now: datetime) -> list[Job]:
        return self._jobs("next <= ?", datetime_to_utc_timestamp(now)) if self.fire else []

    def get_next_run_time(self) -> datetime | None:
        with self._connection() as connection:
            (soonest,) = connection.execute("SELECT min(next) FROM jobs").fetchone()
        following: datetime | None = utc_timestamp_to_datetime(soonest)
        return following

    def get_all_jobs(self) -> list[Job]:
        return self._jobs("true")

    def add_job(self, job: Job) -> None:
        row = (job.id, datetime_to_utc_timestamp(job.next_run_time), job.kwargs["schedule"].model_dump_json())
        try:
            with self._connection() as connection:
                connection.execute("INSERT INTO jobs VALUES (?, ?, ?)", row)
        except sqlite3.IntegrityError:
            raise ConflictingIdError(job.id) from None
        self._write_mirror()

    def update_job(self, job: Job) -> None:
        """Store the next run time of a job that is due, unless another process has removed or replaced it."""
        following = datetime_to_utc_timestamp(job.next_run_time)
        with self._connection() as connection:
            connection.execute(
                "UPDATE jobs SET next = ? WHERE id = ? AND next <= ?",
                (following, job.id, datetime.now().timestamp()),
            )

    def set_next(self, job_id: str, following: datetime | None) -> None:
        """Set the next run time of a job; None pauses it."""
        with self._connection() as connection:
            connection.execute(
                "UPDATE jobs SET next = ? WHERE id = ?", (datetime_to_utc_timestamp(following), job_id)
            )
        self._write_mirror()

    def remove_job(self, job_id: str) -> None:
        with self._connection() as connection:
            if not connection.execute("DELETE FROM jobs WHERE id = ?", (job_id,)).rowcount:
                raise JobLookupError(job_id)
        self._write_mirror()

    def remove_all_jobs(self) -> None:
        with self._connection() as connection:
            connection.execute("DELETE FROM jobs")
        self._write_mirror()

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(self._open()) as connection, connection:
                yield connection
        except sqlite3.DatabaseError as error:
            if self._read_only and isinstance(error, sqlite3.OperationalError):
                # other codes, also for "readonly", are of a database that cannot even be read
                changed = error.sqlite_errorcode == sqlite3.SQLITE_READONLY
                hint = (
                    "; where the workspace is not writable, schedules can be listed, not changed"
                    if changed
                    else ""
                )
                raise ConfigError(f"{self.file}: {error}{hint}") from None
            if isinstance(error, sqlite3.IntegrityError | sqlite3.OperationalError):
                raise
            raise ConfigError(
                f"{self.file}: not a schedule database ({error}); remove the file and add the schedules again"
            ) from None

    def _open(self) -> sqlite3.Connection:
        """The database; where it cannot be written, one that can only be read. It is empty if the file is missing or
        empty."""
        if not self._read_only:
            return sqlite3.connect(self.file, timeout=30)
        if self.file.exists() and self.file.stat().st_size:
            return sqlite3.connect(f"{self.file.as_uri()}?mode=ro", uri=True, timeout=30)
        empty = sqlite3.connect(":memory:")
        empty.execute(_TABLE)
        empty.execute("PRAGMA query_only = ON")
        return empty

    def _jobs(self, condition: str, *values: Any) -> list[Job]:
        """The jobs that match an SQL condition, ordered by next run time."""
        query = f"SELECT id, next, job FROM jobs WHERE {condition} ORDER BY next IS NULL, next"
        with self._connection() as connection:
            return [self._job(*row) for row in connection.execute(query, values).fetchall()]

    def _job(self, id: Any, following: Any, text: Any) -> Job:
        try:
            if not isinstance(id, str) or not NAME.fullmatch(id):
                raise ValueError("expected a name of letters, digits, dots, dashes and underscores")
            schedule = Schedule.model_validate_json(text)
            state = {
                "id": id,
                "name": schedule.when.label,
                "func": _FIRE,
                "trigger": schedule.when.timetable(),
                "executor": "default",
                "args": (),
                "kwargs": {"name": id, "schedule": schedule},
                "misfire_grace_time": None,
                "coalesce": True,
                "max_instances": 1,
                "next_run_time": utc_timestamp_to_datetime(following),
            }
        except (ValueError, TypeError) as error:
            raise ConfigError(
                f"{self.file}: the schedule {str(id)[:80]!r} cannot be read ({error}); "
                "remove the file and add the schedules again"
            ) from None
        job = Job.__new__(Job)
        job.__setstate__(state)
        job.func = self.fire or refuse
        job._scheduler, job._jobstore_alias = self._scheduler, self._alias
        return job
