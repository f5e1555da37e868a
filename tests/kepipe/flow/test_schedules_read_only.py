"""The store of schedules where its file can only be read."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from kepipe.config import ConfigError
from kepipe.flow import jobstore, schedules
from kepipe.flow.schedule import Schedule
from kepipe.flow.triggers.cron import Cron


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The schedules of a workspace, one named `weekly`, in a folder that counts as not writable."""
    (pipeline := tmp_path / "p.yaml").touch()
    schedules.add(tmp_path, "weekly", Schedule(pipeline=str(pipeline), when=Cron(cron="0 2 * * 1")))
    (file,) = tmp_path.glob("*.sqlite")
    (tmp_path / f"{file.name}.lock").unlink()
    monkeypatch.setattr(jobstore, "sqlite_writable", lambda _: False)
    return file


def test_schedules_are_listed_without_a_lock_and_not_changed(file: Path) -> None:
    before = {path.name: path.read_bytes() for path in file.parent.iterdir()}
    assert [entry.name for entry in schedules.entries(file.parent)] == ["weekly"]
    with pytest.raises(
        ConfigError, match="where the workspace is not writable, schedules can be listed, not"
    ):
        jobstore.JobStore(file).remove_job("weekly")
    assert {path.name: path.read_bytes() for path in file.parent.iterdir()} == before


@pytest.mark.parametrize("content", [None, b""])
def test_missing_or_empty_file_has_no_schedules_and_takes_none(file: Path, content: bytes | None) -> None:
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    assert schedules.entries(file.parent) == []
    with pytest.raises(ConfigError, match="schedules can be listed, not changed"):
        jobstore.JobStore(file).remove_all_jobs()


def refusal(file: Path) -> str:
    with pytest.raises(ConfigError) as refused:
        jobstore.JobStore(file)
    return str(refused.value)


def test_busy_file_is_refused_in_the_words_of_sqlite(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def impatient(*place: Any, **settings: Any) -> sqlite3.Connection:
        return connect(*place, **{**settings, "timeout": 0})

    connect: Callable[..., sqlite3.Connection] = sqlite3.connect
    with closing(connect(file)) as other:
        other.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr(sqlite3, "connect", impatient)
        assert refusal(file) == f"{file}: database is locked"


def test_file_of_a_killed_writer_is_refused_in_the_words_of_sqlite(file: Path) -> None:
    """Its journal would have to be played back first."""
    with closing(sqlite3.connect(file)) as writer:
        writer.execute("PRAGMA cache_size = 1")
        writer.executemany("INSERT INTO jobs VALUES (?, 0, ?)", ((str(n), "x" * 5000) for n in range(99)))
        for path in (file, file.with_name(f"{file.name}-journal")):
            shutil.copy(path, path.with_name(path.name.replace(file.stem, "killed")))
    killed = file.with_name("killed.sqlite")
    assert refusal(killed) == f"{killed}: attempt to write a readonly database"


def test_damaged_file_is_refused_and_stays(file: Path) -> None:
    file.write_bytes(b"no database" * 1000)
    assert "not a schedule database" in refusal(file)
    assert file.read_bytes() == b"no database" * 1000
