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
from pathlib import Path

from kepipe.flow.events import Event, RunStarted, StageEnded, StageStarted
from kepipe.flow.journal import Journal
from kepipe.terminal import echo
from kepipe.tracking.cursor import Cursor, journal_of
from kepipe.tracking.system_metrics import SystemMetrics

SWITCH = "KEPIPE_TRACKING"
"""Environment variable; "off" keeps the journal and delivers nothing, until `kepipe track sync`."""


class Tracker:
    """Keeps the events of one run."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace
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
        if os.environ.get(SWITCH, "").lower() != "off":
            self._worker = _start_worker(self._workspace, run)

    def close(self, patience: float = 30.0) -> list[str]:
        """End the journal and wait for its delivery: not at all where every stage was cached, else at most
        `patience` seconds; after that it goes on by itself. Returns what the user should know."""
        if self._journal is None or self._system_metrics is None:
            return []
        self._system_metrics.stop()
        self._journal.close()
        if self._worker is None or not self._worked:
            return []
        try:
            self._worker.wait(patience)
        except subprocess.TimeoutExpired:
            return ["tracking: delivery goes on in the background; `kepipe track status` shows how far it is"]
        if self._worker.returncode:
            return [
                "tracking: delivery failed, see delivery.log beside the journal; `kepipe track sync` repeats it"
            ]
        return list(delivery_messages(Cursor.load(self._journal.file)))


@contextmanager
def track(workspace: Path) -> Iterator[Tracker]:
    """Keep a run in `<workspace>/tracking` and deliver it to MLflow. What the user should know goes to stderr."""
    tracker = Tracker(workspace)
    try:
        yield tracker
    except BaseException:
        tracker.close(patience=0)
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
