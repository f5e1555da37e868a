"""The tracking sink of a run: a journal on disk, system metrics, and a process that delivers both to MLflow.

Delivery runs in a separate process: it takes no interpreter time from training, shares no imports with it, and
still delivers the journal of a killed run.
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
"""Environment variable; with "off" events stay in the journal until `kepipe track sync`."""


class Tracker:
    """Records the events of one run. `delivers`: start a process that delivers them; False: another run's process
    does."""

    def __init__(self, workspace: Path, delivers: bool = True) -> None:
        self._workspace, self._delivers = workspace, delivers
        self._journal: Journal | None = None
        self._system_metrics: SystemMetrics | None = None
        self._worker: subprocess.Popen[bytes] | None = None
        self._any_stage_ran = False

    def __call__(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._open(event.run)
        assert self._journal is not None, "a run begins with RunStarted"
        assert self._system_metrics is not None
        self._journal(event)
        if isinstance(event, StageStarted):
            self._any_stage_ran = True
            self._system_metrics.start(event.run, event.stage)
        elif isinstance(event, StageEnded):
            self._system_metrics.stop()

    def _open(self, run: str) -> None:
        self._journal = Journal(journal_of(self._workspace, run))
        self._system_metrics = SystemMetrics(self._journal)
        if self._delivers and os.environ.get(SWITCH, "").lower() != "off":
            self._worker = _start_worker(self._workspace, run)

    def close(self, timeout: float = 30.0) -> list[str]:
        """Close the journal and wait for its delivery, at most `timeout` seconds, and not at all if every stage was
        cached; afterwards delivery continues in the background. Returns messages for the user."""
        if self._journal is None or self._system_metrics is None:
            return []
        self._system_metrics.stop()
        self._journal.close()
        if self._worker is None:
            return []
        try:
            self._worker.wait(timeout if self._any_stage_ran else 0)
        except subprocess.TimeoutExpired:
            return self._pending_messages()
        if self._worker.returncode:
            log = self._journal.file.with_name("delivery.log")
            return [f"tracking: delivery failed, see {log}; retry with `{self._sync}`"]
        delivered = replace(Cursor.load(self._journal.file), unavailable="")
        return [*delivery_messages(delivered), *self._undelivered()]

    @property
    def _sync(self) -> str:
        """The command that delivers pending events."""
        return f"kepipe track sync --workspace {self._workspace}"

    def _pending_messages(self) -> list[str]:
        """Messages while delivery is still in progress."""
        if messages := self._undelivered():
            return messages
        if not self._any_stage_ran:
            return []
        return ["tracking: delivery continues in the background; `kepipe track status` shows its progress"]

    def _undelivered(self) -> list[str]:
        """Messages about runs that wait for an unreachable store, and how to deliver them."""
        cursors = [Cursor.load(file) for file in journals(self._workspace)]
        waiting = [cursor for cursor in cursors if not cursor.done]
        reasons = [cursor.unavailable for cursor in waiting if cursor.unavailable]
        if not reasons:
            return []
        runs = "this run is" if len(waiting) == 1 else f"{len(waiting)} runs are"
        return [
            f"tracking: MLflow is unreachable ({reasons[-1]}). No data is lost: {runs} stored in "
            f"{self._workspace / 'tracking'} and will be delivered by the next run or by `{self._sync}`"
        ]


@contextmanager
def track(workspace: Path, delivers: bool = True) -> Iterator[Tracker]:
    """Record a run in `<workspace>/tracking` and deliver it to MLflow. Messages for the user are printed to stderr."""
    tracker = Tracker(workspace, delivers)
    try:
        yield tracker
    except BaseException:
        for line in tracker.close(timeout=0):
            echo(line, err=True)
        raise
    for line in tracker.close():
        echo(line, err=True)


def delivery_messages(cursor: Cursor) -> Iterator[str]:
    """Messages about the outcome of a delivery."""
    for version in cursor.registered:
        title = "champion" if version["champion"] else "challenger"
        yield f"models: {version['model']} version {version['version']} is {title}: {version['why']}"
    for why in cursor.refused:
        yield f"tracking: the store rejected {why}"
    if cursor.unavailable:
        yield f"tracking: not delivered yet ({cursor.unavailable}); the next run or `kepipe track sync` delivers it"


def _start_worker(workspace: Path, run: str) -> subprocess.Popen[bytes]:
    """Start the delivery process in its own session, so that Ctrl-C in the terminal does not reach it."""
    command = [sys.executable, "-m", "kepipe", "track", "follow", run, "--workspace", str(workspace)]
    with (workspace / "tracking" / "delivery.log").open("ab") as log:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
