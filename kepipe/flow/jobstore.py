"""The file of scheduled jobs, made safe for several processes. Importing this imports APScheduler and SQLAlchemy."""

from __future__ import annotations

import os
import pickle
from datetime import datetime
from pathlib import Path
from typing import Any

from apscheduler.job import Job
from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.util import datetime_to_utc_timestamp


class JobStore(SQLAlchemyJobStore):  # type: ignore[misc]
    """APScheduler's store of jobs in an SQLite file, where other processes add and remove jobs too.

    APScheduler pickles its jobs into the file. It is written by us alone and is its owner's alone; one from
    elsewhere must not be put in its place. A job is of the workspace in which the file lies now: it may have been
    moved since the job was added.
    """

    def __init__(self, file: Path, scheduled_run: bool) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        super().__init__(f"sqlite:///{file.resolve()}", engine_options={"connect_args": {"timeout": 30}})
        self.workspace, self.scheduled_run = str(file.parent.resolve()), scheduled_run
        """Whether jobs may be fired. A scheduler takes what is due once more while it shuts down, even a
        paused one, and notes it as fired."""

    def _reconstitute_job(self, job_state: bytes) -> Job:
        job: Job = super()._reconstitute_job(job_state)
        job.kwargs = {**job.kwargs, "workspace": self.workspace}
        return job

    def get_due_jobs(self, now: datetime) -> list[Job]:
        due: list[Job] = super().get_due_jobs(now) if self.scheduled_run else []
        return due

    def update_job(self, job: Job) -> None:
        """Note the next firing of a job that is due, unless another process has removed or replaced it."""
        state: dict[str, Any] = {
            "next_run_time": datetime_to_utc_timestamp(job.next_run_time),
            "job_state": pickle.dumps(job.__getstate__(), self.pickle_protocol),
        }
        table = self.jobs_t
        still_due = (table.c.id == job.id) & (table.c.next_run_time <= datetime.now().timestamp())
        with self.engine.begin() as connection:
            connection.execute(table.update().values(**state).where(still_due))
