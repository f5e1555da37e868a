"""The sink that keeps a run: a journal on disk, the machine's load, and a process that delivers both to MLflow.

Delivery has a process of its own: it takes no time of the training process's interpreter, shares no imports
with it, and what a killed run left in its journal still arrives.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from kepipe.flow.events import Event, RunStarted, StageEnded, StageStarted
from kepipe.flow.journal import Journal
from kepipe.terminal import echo
from kepipe.tracking.cursor import Cursor, journal_of, journals
from kepipe.tracking.system_metrics import SystemMetrics

SWITCH = "KEPIPE_TRACKING"
"""Environment variable; "off" keeps the journal and delivers nothing, until `kepipe track sync`."""


class Tracker:
    """Keeps the events of one run. `delivers`: by a process of its own; else one that delivers for it takes them."""

    def __init__(self, workspace: Path, delivers: bool = True) -> None:
        self._workspace, self._delivers = workspace, delivers
        self._journal: Journal | None = None
        self._system_metrics: SystemMetrics | None = None
        self._worker: subprocess.Popen[bytes] | None = None
        self._worked = False

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._open(event.run)
        assert self._journal is not None, "a run begins with RunStarted"
        assert self._system_metrics is not None
        self._journal(event)
        if isinstance(event, StageStarted):
            self._worked = True
            self._system_metrics.start(event.run, event.stage)
        elif isinstance(event, StageEnded):
            self._system_metrics.stop()

    def _open(self, run: str) -> None:
        self._journal = Journal(journal_of(self._workspace, run))
        self._system_metrics = SystemMetrics(self._journal)
        if self._delivers and os.environ.get(SWITCH, "").lower() != "off":
            self._worker = _start_worker(self._workspace, run)

    def close(self, patience: float = 30.0) -> list[str]:
        """End the journal and wait for its delivery: not at all where every stage was cached, else at most
        `patience` seconds; after that it goes on by itself. Returns what the user should know."""
        if self._journal is None or self._system_metrics is None:
            return []
        self._system_metrics.stop()
        self._journal.close()
        if self._worker is None:
            return []
        try:
            self._worker.wait(patience if self._worked else 0)
        except subprocess.TimeoutExpired:
            return self._waiting()
        if self._worker.returncode:
            log = self._journal.file.with_name("delivery.log")
            return [f"tracking: delivery failed, see {log}; `{self._sync}` repeats it"]
        delivered = replace(Cursor.load(self._journal.file), unavailable="")
        return [*delivery_messages(delivered), *self._undelivered()]

    @property
    def _sync(self) -> str:
        """The command that delivers what waits."""
        return f"kepipe track sync --workspace {self._workspace}"

    def _waiting(self) -> list[str]:
        """What to say while the delivery is still at work."""
        if messages := self._undelivered():
            return messages
        if not self._worked:
            return []
        return ["tracking: delivery goes on in the background; `kepipe track status` shows how far it is"]

    def _undelivered(self) -> list[str]:
        """What waits for a store that could not be reached at the last attempt, and what delivers it."""
        cursors = [Cursor.load(file) for file in journals(self._workspace)]
        waiting = [cursor for cursor in cursors if not cursor.done]
        reasons = [cursor.unavailable for cursor in waiting if cursor.unavailable]
        if not reasons:
            return []
        runs = "this run waits" if len(waiting) == 1 else f"{len(waiting)} runs wait"
        return [
            f"tracking: MLflow could not be reached ({reasons[-1]}). Nothing is lost: {runs} in "
            f"{self._workspace / 'tracking'}; the next run delivers what waits, and so does `{self._sync}`"
        ]


@contextmanager
def track(workspace: Path, delivers: bool = True) -> Iterator[Tracker]:
    """Keep a run in `<workspace>/tracking` and deliver it to MLflow. What the user should know goes to stderr."""
    tracker = Tracker(workspace, delivers)
    try:
        yield tracker
    except BaseException:
        for line in tracker.close(patience=0):
            echo(line, err=True)
        raise
    for line in tracker.close():
        echo(line, err=True)


def delivery_messages(cursor: Cursor) -> Iterator[str]:
    """What a delivery brought about, in sentences."""
    for version in cursor.registered:
        title = "champion" if version["champion"] else "challenger"
        yield f"models: {version['model']} version {version['version']} is {title}: {version['why']}"
    for why in cursor.refused:
        yield f"tracking: the store refused {why}"
    if cursor.unavailable:
        yield f"tracking: not delivered yet, the next run or `kepipe track sync` does it: {cursor.unavailable}"


def _start_worker(workspace: Path, run: str) -> subprocess.Popen[bytes]:
    """Start the delivering process in a session of its own, out of reach of the terminal's Ctrl-C."""
    command = [sys.executable, "-m", "kepipe", "track", "follow", run, "--workspace", str(workspace)]
    with (workspace / "tracking" / "delivery.log").open("ab") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
