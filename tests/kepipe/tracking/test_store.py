"""The store of a fresh workspace, opened by several processes at once, and by one that is killed on the way."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kepipe.tracking.store import connect

CONNECT = """
import sys
from pathlib import Path
from kepipe.tracking.store import connect
print(len(connect(Path(sys.argv[1])).client.search_experiments()))
"""


WRITE = """
import sys
from pathlib import Path
from kepipe.tracking.store import connect
store = connect(Path(sys.argv[1]))
run = store.client.create_run(store.experiment("moved")).info.run_id
store.client.log_text(run, "before", "notes.txt")
print(run)
"""


def connecting(workspace: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", CONNECT, str(workspace)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(autouse=True)
def local(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)


def test_several_processes_open_a_fresh_workspace_at_once(tmp_path: Path) -> None:
    processes = [connecting(tmp_path) for _ in range(3)]
    ended = [(*process.communicate(timeout=120), process.returncode) for process in processes]
    assert [(out.strip(), code) for out, _, code in ended] == [("1", 0)] * 3, ended


def test_a_process_killed_while_it_lays_the_tables_leaves_no_half_store(tmp_path: Path) -> None:
    killed = connecting(tmp_path)
    while not list(tmp_path.glob(".mlflow.db.unfinished")):
        time.sleep(0.01)
        assert killed.poll() is None
    time.sleep(0.2)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (tmp_path / "mlflow.db").exists()
    out, error = connecting(tmp_path).communicate(timeout=120)
    assert out.strip() == "1", error


def test_a_moved_workspace_keeps_its_files_and_shows_the_kind_of_its_experiments(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    made = subprocess.run(  # a process of its own: MLflow remembers where a run's files lay
        [sys.executable, "-c", WRITE, str(here)], check=True, capture_output=True, text=True
    )
    run = made.stdout.split()[-1]
    here.rename(there)
    store = connect(there)
    assert [file.path for file in store.client.list_artifacts(run)] == ["notes.txt"]
    store.client.log_text(run, "after", "more.txt")
    assert {file.name for file in (there / "mlartifacts").rglob("*.txt")} == {
        "notes.txt",
        "more.txt",
    }
    found = store.client.get_experiment_by_name("moved")
    assert found is not None
    assert found.artifact_location == f"{store.artifacts}/moved"
    assert found.tags["mlflow.experimentKind"] == "custom_model_development"
    assert not here.exists()
