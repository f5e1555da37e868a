"""Processor time of a stage: that of this process and of its workers, whether they have ended or not."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from kepipe.flow import work_clock
from kepipe.flow.store import WorkDir
from kepipe.flow.work_clock import WorkClock, peak_memory

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


class Clock:
    """A clock that is set by hand, in place of the module `time`."""

    def __init__(self) -> None:
        self.now = 50.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return 1e9


def test_seconds_of_earlier_attempts_are_added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workdir, hand = WorkDir(tmp_path / "out", tmp_path / "scratch"), Clock()
    monkeypatch.setattr(work_clock, "time", hand)
    monkeypatch.setattr(work_clock, "_processor", lambda: 3 * hand.now)
    clock = WorkClock(workdir)
    hand.now += 5
    assert (clock.seconds, clock.processor_seconds, clock.started) == (5.0, 15.0, 1e9)
    clock.save()
    hand.now += 100
    again = WorkClock(workdir)
    hand.now += 2
    assert (again.seconds, again.processor_seconds) == (7.0, 21.0)


def test_seconds_are_saved_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workdir, hand = WorkDir(tmp_path / "out", tmp_path / "scratch"), Clock()
    monkeypatch.setattr(work_clock, "time", hand)
    clock, saved = WorkClock(workdir), list[float]()
    for _ in range(9):
        hand.now += 0.25
        clock.save_sometimes()
        saved.append(float(workdir.seconds.read_text().split()[0]) if workdir.seconds.exists() else 0.0)
    assert saved == [0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0]


def test_processor_time_has_four_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """User and system time, of this process and of its ended children."""
    before = work_clock._processor()
    parts = SimpleNamespace(user=1e5, system=2e5, children_user=4e5, children_system=8e5)
    monkeypatch.setattr(os, "times", lambda: parts)
    assert 15e5 <= work_clock._processor() <= 15e5 + before + 1e4


def test_peak_memory_is_that_of_the_largest_process_in_megabytes() -> None:
    kibibytes = max(
        resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    assert peak_memory() == pytest.approx(kibibytes * 1024 / 1e6, rel=1e-4)


def test_processor_time_of_workers_and_of_their_workers_in_this_session_is_added(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their user and system time, and that of their ended children; not the time that they wait for a disk."""
    asked = list[bool]()

    def worker(process: int) -> SimpleNamespace:
        times = (1e5, 2e5, 4e5, 8e5, 16e5)  # user, system, those of ended children, waiting for a disk
        return SimpleNamespace(pid=process, cpu_times=lambda: times)

    class Process:
        def children(self, recursive: bool) -> list[SimpleNamespace]:
            asked.append(recursive)
            return [worker(11), worker(12)]

    before = work_clock._processor()
    monkeypatch.setattr(os, "getsid", {0: 7, 11: 7, 12: 8}.__getitem__)
    monkeypatch.setattr("psutil.Process", Process)
    assert 15e5 <= work_clock._processor() <= 15e5 + before + 1e4
    assert asked == [True]


def test_peak_memory_is_counted_in_bytes_on_a_mac(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    bytes_used = {resource.RUSAGE_SELF: 3e6, resource.RUSAGE_CHILDREN: 2e6}
    monkeypatch.setattr(resource, "getrusage", lambda who: SimpleNamespace(ru_maxrss=bytes_used[who]))
    assert peak_memory() == 3.0
