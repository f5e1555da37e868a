"""Tracking commands with a store whose address contains a password."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from kepipe.tracking.cursor import Cursor, journals
from tests.support.kepipe_run import EXAMPLE
from tests.support.waiting import until

SECRET = "s3cr3t-pa55"
AWAY = f"http://alice:{SECRET}@127.0.0.1:9"
"""A store where nobody listens."""


def kepipe(*words: str, **environment: str) -> str:
    """The output of a command."""
    done = subprocess.run(
        [sys.executable, "-m", "kepipe", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return done.stdout


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose store is unreachable, after the failed delivery."""
    place = tmp_path_factory.mktemp("secret") / "workspace"
    words = ("run", str(EXAMPLE), "--until", "corpus", "--workspace", str(place))
    printed = kepipe(*words, MLFLOW_TRACKING_URI=AWAY, HF_TOKEN=f"hf_{SECRET}")
    assert "tracking: " in printed
    assert SECRET not in printed
    until(lambda: any(Cursor.load(journal).unavailable for journal in journals(place)))
    return place


def test_cached_run_reports_pending_deliveries_without_the_password(workspace: Path) -> None:
    words = ("run", str(EXAMPLE), "--until", "corpus", "--workspace", str(workspace))
    printed = kepipe(*words, MLFLOW_TRACKING_URI=AWAY)
    assert "MLflow is unreachable (http://***@127.0.0.1:9" in printed
    assert f"No data is lost: 2 runs are stored in {workspace}/tracking" in printed
    assert f"`kepipe track sync --workspace {workspace}`" in printed
    assert SECRET not in printed


@pytest.mark.parametrize("command", ["track status", "track sync", "doctor", "dashboard", "models list"])
def test_tracking_commands_hide_the_stores_password(workspace: Path, command: str) -> None:
    printed = kepipe(*command.split(), "--workspace", str(workspace), MLFLOW_TRACKING_URI=AWAY)
    assert "http://***@127.0.0.1:9" in printed
    assert SECRET not in printed


def test_workspace_files_are_private_and_without_the_password(workspace: Path) -> None:
    files = [workspace, *workspace.rglob("*")]
    assert not [file for file in files if file.is_file() and SECRET.encode() in file.read_bytes()]
    assert [file for file in files if file.suffix == ".cursor"]
    open_to_others = [
        file for file in files if not file.is_symlink() and stat.S_IMODE(file.stat().st_mode) & 0o077
    ]
    assert not open_to_others


def test_kepipe_umask_shares_a_workspace(tmp_path: Path) -> None:
    printed = kepipe("plan", str(EXAMPLE), "--workspace", str(tmp_path), KEPIPE_UMASK="9")
    assert "KEPIPE_UMASK=9: expected octal digits as for `umask`, such as 027" in printed
    words = ("schedule", "add", str(EXAMPLE), "--cron", "@daily", "--workspace", str(tmp_path / "shared"))
    kepipe(*words, KEPIPE_UMASK="027")
    assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o750


def test_modules_in_the_current_folder_are_not_imported(tmp_path: Path) -> None:
    """Neither kepipe, as its installed command starts, nor what delivers a run, nor the workers of the linker."""
    for name in ("kepipe", "mlflow", "joblib", "spacy", "numpy", "sqlite3"):
        module = f"open({str(tmp_path / 'ran')!r}, 'a').write({name!r})\nraise SystemExit(9)\n"
        (tmp_path / f"{name}.py").write_text(module)
    start = "from kepipe.cli import main; main()"
    words = ["run", str(EXAMPLE), "--until", "link", "--set", "stages.link.workers=2"]
    words += ["--set", "stages.link.spacy_model=null"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW")}
    done = subprocess.run(
        [sys.executable, "-P", "-c", start, *words, "--workspace", str(tmp_path / "workspace")],
        cwd=tmp_path,
        env={**environment, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    until(lambda: (tmp_path / "ran").exists() or (tmp_path / "workspace" / "mlflow.db").is_file())
    assert not (tmp_path / "ran").exists(), (tmp_path / "ran").read_text()
