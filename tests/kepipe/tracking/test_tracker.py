"""Whole runs: the tracker, its delivery process, and a real server that is stopped and restarted."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kepipe.config import ConfigError
from kepipe.flow.events import Metrics
from kepipe.flow.journal import read
from kepipe.tracking import cursor, dashboard, pending, reachable, store_uri, track
from kepipe.tracking.store import Store, connect
from kepipe.tracking.system_metrics import SystemMetrics
from tests.support import journals
from tests.support.ports import free_port
from tests.support.waiting import TIMEOUT, until

RUN = """
import sys, time
from pathlib import Path
from kepipe.tracking import track
from tests.support import journals
space, pipeline, name, pause = Path(sys.argv[1]), sys.argv[2], sys.argv[3], float(sys.argv[4])
begin = time.monotonic()
with track(space) as tracker:
    for event in journals.run(pipeline, name, space / "made"):
        tracker(event)
        if type(event).__name__ == "Metrics":
            print("metric", flush=True)
            time.sleep(pause)
    print("worked", time.monotonic() - begin, flush=True)
"""
"""A run in a process of its own, as `kepipe run` makes it."""


def start(space: Path, pipeline: str, name: str, pause: float = 0.0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", RUN, str(space), pipeline, name, str(pause)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def statuses(store: Store, pipeline: str) -> dict[str, str]:
    experiment = store.client.get_experiment_by_name(pipeline)
    if experiment is None:
        return {}
    found = store.client.search_runs([experiment.experiment_id])
    return {
        f"{run.data.tags['kepipe.run']}/{run.info.run_name.removeprefix(f'{pipeline}, ')}": run.info.status
        for run in found
    }


def made(space: Path) -> None:
    if not (space / "made").exists():
        journals.artifact(space / "made")


def test_killed_run_is_delivered_by_the_remaining_process(space: Path, store: Store, fresh: str) -> None:
    made(space)
    run = start(space, fresh, fresh, pause=TIMEOUT)
    assert run.stdout is not None
    assert run.stdout.readline() == "metric\n"
    run.send_signal(signal.SIGKILL)
    run.communicate()
    until(lambda: pending(space) == 0)
    assert statuses(store, fresh) == {f"{fresh}/{fresh}": "KILLED", f"{fresh}/train": "KILLED"}


def test_tracking_off_keeps_the_journal_for_sync(
    space: Path, fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEPIPE_TRACKING", "off")
    made(space)
    with track(space) as tracker:
        for event in journals.run(fresh, fresh, space / "made"):
            tracker(event)
    assert pending(space) == 1
    done = subprocess.run(
        [sys.executable, "-m", "kepipe", "track", "sync", "--workspace", str(space)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"{fresh}  delivered" in done.stdout
    assert pending(space) == 0


def test_system_metrics_are_sampled(fresh: str) -> None:
    values: list[Any] = []
    system_metrics = SystemMetrics(values.append, interval=0.05)
    system_metrics.start("r", "train")
    until(lambda: len(values) >= 3)
    system_metrics.stop()
    count = len(values)
    time.sleep(0.2)
    assert len(values) == count
    assert [event.step for event in values] == list(range(count))
    assert {event.stage for event in values} == {"train"}
    for event in values:
        assert 0 <= event.values["system/cpu_utilization_percentage"] <= 100
        assert event.values["system/process_memory_megabytes"] > 1


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory, space: Path, store: Store, port: int) -> Iterator[Any]:
    """Starts and stops a server on the store of `space`, on the same port each time."""
    running: list[subprocess.Popen[bytes]] = []

    class Server:
        def start(self) -> None:
            running.append(dashboard.start(space, port))

        def stop(self) -> None:
            dashboard.stop(running.pop())

    yield Server()
    for process in running:
        dashboard.stop(process)


def test_runs_during_a_server_outage_are_delivered_later(
    server: Any, port: int, store: Store, fresh: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run's workspace has no store of its own: the server has the results."""
    uri = f"http://127.0.0.1:{port}"
    made(tmp_path)
    server.start()
    with pytest.raises(ConfigError, match=rf"port {port} is in use; try `kepipe dashboard --port \d+`"):
        dashboard.start(tmp_path, port)
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        assert store_uri(tmp_path) == uri
        assert reachable(uri)
        first = start(tmp_path, fresh, "first")
        out, err = first.communicate(timeout=TIMEOUT)
        assert first.returncode == 0, err
        until(lambda: cursor.Cursor.load(cursor.journal_of(tmp_path, "first"), uri).done)
        server.stop()
        assert not reachable(uri)
        second = start(tmp_path, fresh, "second")
        out, err = second.communicate(timeout=TIMEOUT)
        assert second.returncode == 0, err
        assert float(out.split()[-1]) < TIMEOUT / 10, "a store that is away must not slow a run"
        until(lambda: cursor.Cursor.load(cursor.journal_of(tmp_path, "second"), uri).unavailable)
        assert pending(tmp_path) == 1
    assert statuses(store, fresh) == {"first/first": "FINISHED", "first/train": "FINISHED"}
    server.start()
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", uri)
        third = start(tmp_path, fresh, "third")
        out, err = third.communicate(timeout=TIMEOUT)
        assert third.returncode == 0, err
        until(lambda: pending(tmp_path) == 0)
    expected = {
        f"{run}/{name}": "FINISHED" for run in ("first", "second", "third") for name in (run, "train")
    }
    assert statuses(store, fresh) == expected
    assert not (tmp_path / "mlflow.db").exists()


def test_metrics_are_written_to_the_journal_at_once(
    space: Path, fresh: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cost of tracking for a run: one line on disk per event."""
    monkeypatch.setenv("KEPIPE_TRACKING", "off")
    made(space)
    events = list(journals.run(fresh, fresh, space / "made"))
    with track(space) as tracker:
        for event in events[:4]:
            tracker(event)
        for step in range(1000):
            tracker(Metrics(run=fresh, stage="train", values={"loss": 1.0, "rate": 2.0}, step=step))
        stored = [e.event for e in read(cursor.journal_of(space, fresh)) if isinstance(e.event, Metrics)]
        assert sum("loss" in metric.values for metric in stored) == 1000
        for event in events[-2:]:
            tracker(event)


def test_connecting_twice_gives_the_same_store(space: Path, store: Store) -> None:
    assert connect(space).uri == store.uri == store_uri(space)
    assert reachable(store.uri)
