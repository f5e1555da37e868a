"""The store of a new workspace, opened by several processes at once, and by one that is killed meanwhile."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import pytest
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import BAD_REQUEST, RESOURCE_DOES_NOT_EXIST

from kepipe.files import sqlite_file
from kepipe.tracking import database
from kepipe.tracking.cursor import Cursor, pending
from kepipe.tracking.delivery import deliver_pending
from kepipe.tracking.model_uri import fetch
from kepipe.tracking.store import RequestRejected, Store, StoreUnavailable, connect, reachable
from tests.support import journals
from tests.support.deliveries import no_score, runs
from tests.support.serving import register
from tests.support.tasks import base_model
from tests.support.waiting import TIMEOUT

CONNECT = """
import sys
from pathlib import Path
from kepipe.tracking.store import connect
print(len(connect(Path(sys.argv[1])).client.search_experiments()))
from mlflow.telemetry.utils import is_telemetry_disabled
assert is_telemetry_disabled()
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
    silent = (
        "PYTEST_CURRENT_TEST",
        "CI",
        "GITHUB_ACTIONS",
        "DO_NOT_TRACK",
    )  # MLflow sends nothing where these are
    return subprocess.Popen(
        [sys.executable, "-c", CONNECT, str(workspace)],
        env={
            name: value for name, value in os.environ.items() if name not in silent and "MLFLOW" not in name
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture(autouse=True)
def local(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The store of the workspace itself; MLflow's own is put back."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.delenv("MLFLOW_REGISTRY_URI", raising=False)
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    yield
    mlflow.set_tracking_uri(before[0])
    mlflow.set_registry_uri(before[1])


def test_concurrent_processes_open_a_new_workspace(tmp_path: Path) -> None:
    processes = [connecting(tmp_path) for _ in range(3)]
    ended = [(*process.communicate(timeout=TIMEOUT), process.returncode) for process in processes]
    assert [(out.strip(), code) for out, _, code in ended] == [("1", 0)] * 3, ended


def test_process_killed_while_creating_tables_leaves_no_partial_store(tmp_path: Path) -> None:
    killed = connecting(tmp_path)
    while not list(tmp_path.glob(".mlflow.db.unfinished")):
        time.sleep(0.01)
        assert killed.poll() is None
    time.sleep(0.2)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert not (tmp_path / "mlflow.db").exists()
    out, error = connecting(tmp_path).communicate(timeout=TIMEOUT)
    assert out.strip() == "1", error


def test_moved_workspace_keeps_artifacts_and_experiment_kind(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    made = subprocess.run(  # a separate process: MLflow caches the location of a run's files
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


def test_workspace_path_may_have_characters_special_in_uris(tmp_path: Path) -> None:
    """In a database URI, `?` ends the path, and `%41` is an A, of another folder that may exist too."""
    workspace = tmp_path / "50%41 ?x=1&y #1 $HOME"
    (tmp_path / "50A ").mkdir()
    done = subprocess.run(
        [sys.executable, "-c", WRITE, str(workspace)], check=True, capture_output=True, text=True
    )
    assert sorted(file.name for file in tmp_path.iterdir()) == [workspace.name, "50A "]
    assert not list((tmp_path / "50A ").iterdir())
    assert database.is_store(workspace / "mlflow.db")
    store = connect(workspace)
    assert sqlite_file(store.uri) == workspace / "mlflow.db"
    assert [file.path for file in store.client.list_artifacts(done.stdout.split()[-1])] == ["notes.txt"]
    with store.lock("model"):
        assert list((workspace / "tracking").glob("registry-*.lock"))
    assert reachable(store.uri)
    made = base_model(tmp_path / "made", layers=1).folder
    assert register(store, "masks", made, 0.5) == 1
    fetched = fetch("models:/masks@champion", workspace, tmp_path / "fetched")
    assert (fetched / "model.safetensors").read_bytes() == (made / "model.safetensors").read_bytes()


class Late:
    """A client to which another process is one call ahead: it made the experiment after this one had looked."""

    def __init__(self, client: Any) -> None:
        self._client, self._looked = client, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def get_experiment_by_name(self, name: str) -> Any:
        found = self._client.get_experiment_by_name(name)
        if not self._looked:
            self._client.create_experiment(name)
        self._looked = True
        return found


def test_experiment_created_by_two_processes_is_one(store: Store, fresh: str) -> None:
    late: Any = Late(store.client)
    number = replace(store, client=late).experiment(fresh)
    assert late._looked
    assert number == store.experiment(fresh)


def test_invalid_database_is_moved_aside_and_refilled_from_journals(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = journals.artifact(tmp_path / "made")
    journal = journals.write(tmp_path / "tracking" / "r.jsonl", list(journals.run("filled", "r", folder)))
    Cursor("", done=True, sent=journal.stat().st_size).save(journal)
    assert pending(tmp_path) == 0
    junk = b"no database" * 1000
    (tmp_path / "mlflow.db").write_bytes(junk)
    store = connect(tmp_path)
    (aside,) = tmp_path.glob("mlflow.db.damaged-*")
    assert aside.read_bytes() == junk
    assert f"mlflow.db was not a valid database and was moved to {aside.name}" in capsys.readouterr().err
    assert list(deliver_pending(tmp_path, store, no_score)) == ["r"]
    assert {name: run.info.status for name, run in runs(store, "filled").items()} == {
        "r": "FINISHED", "train": "FINISHED"
    }  # fmt: skip


def test_damaged_database_is_kept_and_the_error_advises_sync(tmp_path: Path) -> None:
    file = tmp_path / "mlflow.db"
    database.ensure(file, (tmp_path / "mlartifacts").as_uri())
    with closing(sqlite3.connect(file)) as connection:
        (size,) = connection.execute("PRAGMA page_size").fetchone()
        query = "SELECT rootpage FROM sqlite_master WHERE name = 'experiment_tags'"
        (page,) = connection.execute(query).fetchone()
    content = bytearray(file.read_bytes())
    content[(page - 1) * size : page * size] = bytes(size)
    file.write_bytes(content)
    with pytest.raises(StoreUnavailable, match="damaged: move it away and run `kepipe track sync --all`"):
        connect(tmp_path)
    assert file.read_bytes() == content


def test_conflicting_write_is_retried_and_a_rejected_one_is_not(store: Store) -> None:
    tried: list[str] = []

    def meet() -> str:
        tried.append("meet")
        if len(tried) == 1:
            raise MlflowException("(sqlite3.IntegrityError) UNIQUE constraint failed", BAD_REQUEST)
        return "written"

    def refuse() -> None:
        tried.append("refuse")
        raise MlflowException("no such model", RESOURCE_DOES_NOT_EXIST)

    assert store.attempt(meet) == "written"
    with pytest.raises(RequestRejected, match="no such model"):
        store.attempt(refuse)
    assert tried == ["meet", "meet", "refuse"]
