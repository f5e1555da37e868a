"""A real scheduler process that runs a small command every second."""

from __future__ import annotations

import os
import pickle
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from kepipe.flow import history, scheduled_run, schedules
from kepipe.flow.cron import trigger
from kepipe.flow.firing import SchedulerOptions
from kepipe.flow.schedule import Schedule
from kepipe.flow.scheduler import is_served, serve
from kepipe.flow.schedules import Entry
from kepipe.flow.triggers.cron import Cron
from tests.support.waiting import TIMEOUT, until

SERVE = """
import sys
from datetime import datetime, timedelta
from pathlib import Path
from kepipe.flow import scheduled_run, scheduler
from kepipe.flow.firing import SchedulerOptions
scheduled_run.COMMAND = (sys.executable, "-u")
scheduler.serve(Path(sys.argv[1]), SchedulerOptions(tell=lambda text: print(text, flush=True)))
"""
"""A scheduler for which a "pipeline" is a Python script: it is called as `script --workspace … --set …`."""


@contextmanager
def scheduler(workspace: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", SERVE, str(workspace)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert "Ctrl-C stops" in process.stdout.readline()
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.communicate(timeout=TIMEOUT)


def add(space: Path, pipeline: Path, cron: str, overrides: Sequence[str] = (), name: str = "") -> Entry:
    schedule = Schedule(pipeline=str(pipeline), overrides=tuple(overrides), when=Cron(cron=cron))
    return schedules.add(space, name or pipeline.stem, schedule)


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """Notes each call with its arguments."""
    file = tmp_path / "tiny.py"
    file.write_text(
        f"import sys\nprint('hello')\nopen({str(tmp_path / 'calls')!r}, 'a').write(repr(sys.argv[1:]) + '\\n')\n"
    )
    return file


def test_schedule_added_to_a_running_scheduler_runs_until_removed(tmp_path: Path, script: Path) -> None:
    space, calls, ticks = (tmp_path / name for name in ("space", "calls", "ticks"))
    clock = tmp_path / "clock.py"
    clock.write_text(f"open({str(ticks)!r}, 'a').write('tick\\n')")
    with scheduler(space):
        add(space, script, "* * * * * *", ["seed=3"])
        until(lambda: len(lines(calls)) >= 3)
        (entry,) = schedules.entries(space)
        assert entry.name == "tiny"
        assert entry.schedule.when.label == "cron * * * * * *"
        assert entry.next is not None
        until(lambda: schedules.find(space, "tiny").last is not None)
        last = schedules.find(space, "tiny").last
        assert last is not None
        assert (last.outcome, last.code, Path(last.log).read_text()) == ("finished", 0, "hello\n")
        add(space, clock, "* * * * * *")
        schedules.remove(space, "tiny")
        until(lambda: len(lines(ticks)) >= 3)
        before = len(lines(calls))
        until(lambda: len(lines(ticks)) >= 5)
        assert len(lines(calls)) == before
    assert lines(calls)[0] == repr(["--workspace", str(space), "--set", "seed=3"])


def test_missed_runs_are_made_up_for_once_after_a_restart(tmp_path: Path, script: Path) -> None:
    space, calls = tmp_path / "space", tmp_path / "calls"
    add(space, script, "0 0 1 1 *")
    with schedules.jobs_of(space) as jobs:  # as if it had been due for three hours, every hour
        due = (datetime.now() - timedelta(hours=3)).astimezone()
        job = jobs.get_job("tiny")
        jobs.remove_job("tiny")
        jobs.add_job(job.func, trigger("0 * * * *"), id="tiny", name="0 * * * *", kwargs=job.kwargs,
                     next_run_time=due, coalesce=True, misfire_grace_time=None)  # fmt: skip
    with scheduler(space):
        until(lambda: lines(calls))
        time.sleep(1.5)
        assert len(lines(calls)) == 1
        following = schedules.find(space, "tiny").next
        assert following is not None
        assert following > datetime.now().astimezone()


def test_schedule_runs_in_a_moved_workspace(tmp_path: Path, script: Path) -> None:
    add(tmp_path / "old", script, "* * * * * *")
    moved = (tmp_path / "old").rename(tmp_path / "new")
    with scheduler(moved):
        until(lambda: len(lines(tmp_path / "calls")) >= 2)
    assert set(lines(tmp_path / "calls")) == {repr(["--workspace", str(moved)])}
    assert not (tmp_path / "old").exists()
    assert schedules.find(moved, "tiny").last is not None


def test_pipeline_never_runs_twice_at_a_time(tmp_path: Path) -> None:
    """Two schedules of one pipeline, a manual run, and a scheduler that was killed while its run continues."""
    space, slow, end = (tmp_path / name for name in ("space", "slow.py", "end"))
    slow.write_text(
        "import time\nfrom pathlib import Path\n"
        f"out = open({str(tmp_path / 'spans')!r}, 'a', buffering=1)\n"
        "out.write('begin\\n')\n"
        f"while not Path({str(end)!r}).exists(): time.sleep(0.05)\n"
        "out.write('end\\n')\n"
    )
    add(space, slow, "* * * * * *")
    add(space, slow, "* * * * * *", name="again")
    with scheduler(space) as first:
        until(lambda: lines(tmp_path / "spans"))
        assert schedules.run_now(space, "again").outcome == "skipped"
        first.kill()
        first.wait()
        with scheduler(space):
            time.sleep(2.2)
            end.touch()
            until(lambda: len(lines(tmp_path / "spans")) >= 4)
    for name in ("slow", "again"):
        schedules.remove(space, name)
    marks = lines(tmp_path / "spans")
    assert marks[:4] == ["begin", "end", "begin", "end"]


def test_second_scheduler_of_a_workspace_is_rejected(tmp_path: Path) -> None:
    assert not is_served(tmp_path)
    with scheduler(tmp_path):
        assert is_served(tmp_path)
        with pytest.raises(ValueError, match="a scheduler is already running"):
            serve(tmp_path, SchedulerOptions())
    assert not is_served(tmp_path)


def test_scheduler_stop_interrupts_running_pipelines(tmp_path: Path) -> None:
    space, slow = tmp_path / "space", tmp_path / "slow.py"
    slow.write_text(
        f"import sys, time\nfile = {str(tmp_path / 'calls')!r}\n"
        f"try:\n    open(file, 'a').write('at work\\n'); time.sleep({TIMEOUT})\n"
        "except KeyboardInterrupt:\n    open(file, 'a').write('interrupted\\n'); sys.exit(130)\n"
    )
    add(space, slow, "* * * * * *")
    with scheduler(space):
        until(lambda: lines(tmp_path / "calls"))
    assert lines(tmp_path / "calls") == ["at work", "interrupted"]
    last = schedules.find(space, "slow").last
    assert last is not None
    assert last.outcome == "stopped"


def test_manual_runs_record_outcome_and_keep_last_logs(
    tmp_path: Path, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scheduled_run, "COMMAND", (sys.executable,))
    monkeypatch.setattr(scheduled_run, "KEPT", 2)
    broken = tmp_path / "broken.py"
    broken.write_text("raise SystemExit(3)")
    add(tmp_path, script, "@daily")
    add(tmp_path, broken, "@daily", name="other")
    results = [schedules.run_now(tmp_path, "tiny") for _ in range(3)]
    assert [result.outcome for result in results] == ["finished"] * 3
    assert len(list((tmp_path / "schedule" / "tiny").glob("*.log"))) == 2
    failed = schedules.run_now(tmp_path, "other")
    assert (failed.outcome, failed.code) == ("failed", 3)
    assert schedules.find(tmp_path, "other").last == failed
    assert [result.outcome for result in history.results(tmp_path, "tiny")] == ["finished"] * 3
    note = tmp_path / "schedule" / "other" / "history.jsonl"
    for damage in (b"", b"{", b"[" * 100_000, b"\xff", b"[1]", b'{"code": 0}'):
        note.write_bytes(damage)
        assert schedules.find(tmp_path, "other").last is None


def test_invalid_schedules_are_rejected_with_reason(tmp_path: Path, script: Path) -> None:
    with pytest.raises(ValueError, match="field hour"):
        add(tmp_path, script, "0 99 * * *")
    with pytest.raises(FileNotFoundError, match="no such pipeline"):
        add(tmp_path, tmp_path / "none.yaml", "@daily")
    with pytest.raises(ValueError, match=r"schedule name '\.\./x'"):
        add(tmp_path, script, "@daily", name="../x")
    with pytest.raises(ValueError, match="no schedule `tiny`; there are: none"):
        schedules.remove(tmp_path, "tiny")


class Touch:
    """Creates a file if it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.mark,)


def test_schedule_file_is_never_unpickled(tmp_path: Path) -> None:
    """Neither APScheduler's pickled jobs nor a pickle in place of JSON."""
    mark, file = tmp_path / "ran", tmp_path / "schedule.sqlite"
    pickled = pickle.dumps(Touch(mark))
    pickle.loads(pickled)
    mark.unlink()  # it does run where it is unpickled
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("CREATE TABLE apscheduler_jobs (id TEXT, next_run_time REAL, job_state BLOB)")
        other.execute("INSERT INTO apscheduler_jobs VALUES ('x', 1, ?)", (pickled,))
    with pytest.raises(
        ValueError, match=r"schedule\.sqlite: its schedules are pickled, .*add the schedules again"
    ):
        schedules.entries(tmp_path)
    file.unlink()
    assert schedules.entries(tmp_path) == []
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("INSERT INTO jobs VALUES ('x', 1, ?)", (pickled,))
    with pytest.raises(ValueError, match=r"schedule\.sqlite: the schedule 'x' cannot be read"):
        schedules.entries(tmp_path)
    assert not mark.exists()


WHEN = '"when": {"kind": "cron", "cron": "@daily"}'


def test_valid_stored_schedule_is_read(tmp_path: Path) -> None:
    assert schedules.entries(tmp_path) == []
    with closing(sqlite3.connect(tmp_path / "schedule.sqlite")) as other, other:
        other.execute(
            "INSERT INTO jobs VALUES ('x', 1, ?)", (f'{{{WHEN}, "pipeline": "p", "overrides": []}}',)
        )
    assert [entry.name for entry in schedules.entries(tmp_path)] == ["x"]


@pytest.mark.parametrize(
    ("id", "job"),
    [
        ("x", f'{{{WHEN}, "pipeline": "p", "overrides": [], "func": "os:system"}}'),
        ("x", f'{{{WHEN}, "pipeline": ["p"], "overrides": []}}'),
        ("x", f'{{{WHEN}, "pipeline": "p", "overrides": {{"a": "b"}}}}'),
        ("x", '{"when": {"kind": "cron", "cron": "no cron"}, "pipeline": "p", "overrides": []}'),
        ("x", '{"when": {"kind": "cron", "cron": "@daily", "run": "rm"}, "pipeline": "p"}'),
        ("x", '{"when": {"kind": "command", "command": "rm"}, "pipeline": "p"}'),
        ("x", "[]"),
        ("../../x", f'{{{WHEN}, "pipeline": "p", "overrides": []}}'),
    ],
)
def test_invalid_stored_schedule_is_rejected(tmp_path: Path, id: str, job: str) -> None:
    assert schedules.entries(tmp_path) == []
    with closing(sqlite3.connect(tmp_path / "schedule.sqlite")) as other, other:
        other.execute("INSERT INTO jobs VALUES (?, 1, ?)", (id, job))
    with pytest.raises(ValueError, match="cannot be read"):
        schedules.entries(tmp_path)


def test_invalid_database_is_moved_aside_and_reported(
    tmp_path: Path, script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "schedule.sqlite").write_bytes(b"no database" * 100)
    assert schedules.entries(tmp_path) == []
    (aside,) = tmp_path.glob("schedule.sqlite.damaged-*")
    assert aside.read_bytes() == b"no database" * 100
    assert f"kept as {aside.name}" in capsys.readouterr().err
    add(tmp_path, script, "@daily")
    assert [entry.name for entry in schedules.entries(tmp_path)] == ["tiny"]
    assert not capsys.readouterr().err


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda _: b"no database" * 100,
        lambda whole: whole[:5000],
        lambda whole: whole[:200] + b"\xff" * (len(whole) - 200),
    ],
    ids=["emptied", "overwritten", "cut off", "overwritten inside"],
)
def test_schedules_are_restored_from_a_damaged_database(
    tmp_path: Path, script: Path, damage: Callable[[bytes], bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(40):  # more than a page of the file holds
        schedules.add(tmp_path, f"s{number}", Schedule(pipeline=str(script), when=Cron(cron="@daily")))
    schedules.pause(tmp_path, "s3")
    schedules.remove(tmp_path, "s5")
    before = {entry.name: (entry.schedule, entry.next) for entry in schedules.entries(tmp_path)}
    file = tmp_path / "schedule.sqlite"
    file.write_bytes(damage(file.read_bytes()))
    assert {entry.name: (entry.schedule, entry.next) for entry in schedules.entries(tmp_path)} == before
    output = capsys.readouterr().err
    assert "schedule.sqlite was damaged and is kept as schedule.sqlite.damaged-" in output
    assert "39 schedules were restored" in output
    file.unlink()
    assert schedules.entries(tmp_path) == []  # removed on purpose


def test_schedule_files_are_private_to_their_owner(tmp_path: Path, script: Path) -> None:
    before = os.umask(0)
    try:
        add(tmp_path, script, "@daily")
    finally:
        os.umask(before)
    for name in ("schedule.sqlite", "schedule.json"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600


def test_adding_a_schedule_again_replaces_it(tmp_path: Path, script: Path) -> None:
    add(tmp_path, script, "@daily", ["seed=1"])
    add(tmp_path, script, "@hourly", ["seed=2"])
    (entry,) = schedules.entries(tmp_path)
    assert (entry.schedule.when.label, entry.schedule.overrides) == ("cron @hourly", ("seed=2",))
