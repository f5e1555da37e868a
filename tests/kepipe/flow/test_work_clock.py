"""Processor time of a stage: that of this process and of its workers, whether they have ended or not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from kepipe.flow.store import WorkDir
from kepipe.flow.work_clock import WorkClock

SPEND = "import time; [0 for _ in iter(lambda: time.process_time() < 0.6, False)]; print(flush=True); input()"
"""Spends 0.6 seconds of processor time, and waits."""


def cost_of_a_child(folder: Path, own_session: bool) -> tuple[float, float]:
    """Processor seconds counted while a child waits that has spent half a second, and those added when it ends."""
    clock = WorkClock(WorkDir(folder / "out", folder / "scratch"))
    with subprocess.Popen(
        [sys.executable, "-c", SPEND],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=own_session,
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        alive = clock.processor_seconds
        child.communicate(b"\n")
    return alive, clock.processor_seconds - alive


def test_a_worker_counts_while_it_is_alive_and_once(tmp_path: Path) -> None:
    alive, added = cost_of_a_child(tmp_path, own_session=False)
    assert alive >= 0.5
    assert added < 0.5


def test_a_process_with_a_session_of_its_own_counts_when_it_has_ended(tmp_path: Path) -> None:
    _, added = cost_of_a_child(tmp_path, own_session=True)
    assert added >= 0.5
