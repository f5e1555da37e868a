"""The store of a fresh workspace, opened by several processes at once, and by one that is killed on the way."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CONNECT = """
import sys
from pathlib import Path
from kepipe.tracking.store import connect
print(len(connect(Path(sys.argv[1])).client.search_experiments()))
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
    while not list(tmp_path.glob("mlflow.db.*.fresh")):
        time.sleep(0.01)
        assert killed.poll() is None
    time.sleep(0.2)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (tmp_path / "mlflow.db").exists()
    out, error = connecting(tmp_path).communicate(timeout=120)
    assert out.strip() == "1", error
