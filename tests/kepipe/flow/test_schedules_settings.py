"""Names, limits and times of schedules, and files where they are stored."""

from __future__ import annotations

import os
import stat
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from kepipe.flow import schedules
from kepipe.flow.schedule import Schedule
from kepipe.flow.schedules import Entry
from kepipe.flow.triggers.cron import Cron


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A pipeline that nothing runs."""
    file = tmp_path / "tiny.py"
    file.touch()
    return file


def add(space: Path, pipeline: Path, cron: str) -> Entry:
    return schedules.add(space, pipeline.stem, Schedule(pipeline=str(pipeline), when=Cron(cron=cron)))


@pytest.mark.parametrize("name", ["locks", "outbox", "", ".x", "a b"])
def test_reserved_and_invalid_names_are_rejected(tmp_path: Path, script: Path, name: str) -> None:
    with pytest.raises(ValueError, match="expected letters, digits, dots, dashes and underscores"):
        schedules.add(tmp_path, name, Schedule(pipeline=str(script), when=Cron(cron="@daily")))


def test_limits_of_a_schedule(tmp_path: Path, script: Path) -> None:
    when = Cron(cron="@daily")
    plain = add(tmp_path, script, "@daily").schedule
    assert (plain.retries, plain.backoff, plain.timeout) == (0, 60.0, None)
    for right in ({"retries": 0}, {"backoff": 0.5}, {"timeout": 0.5}):
        schedules.add(
            tmp_path, "x", Schedule.model_validate({"pipeline": str(script), "when": when, **right})
        )
    for wrong in ({"retries": -1}, {"backoff": 0}, {"timeout": 0}):
        with pytest.raises(ValidationError):
            Schedule.model_validate({"pipeline": "p", "when": when, **wrong})


def test_folder_in_place_of_the_database_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "schedule.sqlite" / "mine").mkdir(parents=True)
    with pytest.raises(OSError, match="Is a directory"):
        schedules.entries(tmp_path)
    assert [place.name for place in tmp_path.glob("schedule.sqlite*")].count("schedule.sqlite") == 1
    assert not list(tmp_path.glob("*damaged*"))


def test_schedules_of_a_new_workspace_in_a_new_folder(tmp_path: Path, script: Path) -> None:
    space = tmp_path / "new" / "space"
    assert schedules.entries(space) == []
    assert add(space, script, "@daily").name == "tiny"


def test_restored_database_is_private(tmp_path: Path, script: Path) -> None:
    add(tmp_path, script, "@daily")
    (tmp_path / "schedule.sqlite").write_bytes(b"no database" * 100)
    before = os.umask(0)
    try:
        assert [entry.name for entry in schedules.entries(tmp_path)] == ["tiny"]
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "schedule.sqlite").stat().st_mode) == 0o600


def test_next_times_end_with_a_paused_schedule(tmp_path: Path, script: Path) -> None:
    entry = add(tmp_path, script, "@daily")
    first, second = schedules.next_times(entry, 2)
    assert (first, second - first) == (entry.next, timedelta(days=1))
    schedules.pause(tmp_path, "tiny")
    assert list(schedules.next_times(schedules.find(tmp_path, "tiny"), 2)) == []


def test_resuming_a_schedule_that_is_not_paused_keeps_its_time(tmp_path: Path, script: Path) -> None:
    add(tmp_path, script, "@daily")
    due = datetime.now().astimezone() - timedelta(hours=1)
    with schedules.open_store(tmp_path) as store:
        store.set_next("tiny", due)
    assert schedules.resume(tmp_path, "tiny").next == due
