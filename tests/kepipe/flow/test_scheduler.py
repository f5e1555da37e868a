"""The scheduler: as a process that may be killed, and in one pass for external timers (`--once`)."""

from __future__ import annotations

import fcntl
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from apscheduler.jobstores.base import ConflictingIdError

from kepipe.flow import scheduler, schedules
from kepipe.flow.firing import PendingRun, _note, read_pending
from kepipe.flow.history import results
from kepipe.flow.scheduler import ClockWatch, repair_due_times
from kepipe.flow.triggers.cron import Cron
from kepipe.flow.triggers.when_changed import WhenChanged
from tests.support.schedules import CALL, Scripts, calls, make_scripts
from tests.support.waiting import TIMEOUT, until

SERVE = """
import sys
from pathlib import Path
from kepipe.flow import scheduled_run, scheduler
from kepipe.flow.firing import SchedulerOptions
scheduled_run.COMMAND = (sys.executable,)
scheduler.serve(Path(sys.argv[1]), SchedulerOptions(tell=lambda text: print(text, flush=True)))
"""


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scripts:
    monkeypatch.setattr(scheduler, "RECHECK_SECONDS", 0.0)
    return make_scripts(tmp_path, monkeypatch)


def serving(scripts: Scripts) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", SERVE, str(scripts.workspace)], stdout=subprocess.DEVNULL)


def test_once_runs_due_schedules_and_ends(scripts: Scripts) -> None:
    due = scripts.add("due", CALL, Cron(cron="* * * * *"))
    later = scripts.add("later", CALL, Cron(cron="@yearly"))
    with schedules.open_store(scripts.workspace) as store:
        store.set_next("due", datetime.now().astimezone() - timedelta(hours=3))
    assert scripts.run_due() == [("finished", "cron * * * * *")]
    assert (calls(due), calls(later)) == (1, 0)
    following = schedules.find(scripts.workspace, "due").next
    assert following is not None
    assert following > datetime.now().astimezone()


def test_paused_schedule_neither_runs_nor_checks_its_trigger(scripts: Scripts) -> None:
    folder = scripts.add("tiny", CALL, WhenChanged())
    schedules.pause(scripts.workspace, "tiny")
    assert schedules.find(scripts.workspace, "tiny").next is None
    assert scripts.run_due() == []
    assert schedules.resume(scripts.workspace, "tiny").next is not None
    assert [outcome for outcome, _ in scripts.run_due()] == ["finished"]
    assert calls(folder) == 1


def test_scheduler_starts_while_a_process_asks_whether_one_runs(
    scripts: Scripts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who asks holds a shared lock for a moment, here until the scheduler first waits for it."""
    folder = scripts.add("due", CALL, Cron(cron="* * * * *"))
    with schedules.open_store(scripts.workspace) as store:
        store.set_next("due", datetime.now().astimezone() - timedelta(hours=3))
    asking = os.open(scripts.workspace / "schedule.lock", os.O_CREAT | os.O_RDONLY)
    fcntl.flock(asking, fcntl.LOCK_SH)

    with monkeypatch.context() as patch:

        def answer(_: float) -> None:
            patch.undo()
            os.close(asking)

        patch.setattr(time, "sleep", answer)
        scripts.run_due()
    assert calls(folder) == 1


@pytest.mark.parametrize("others", [0, 1])
def test_once_skips_a_file_that_is_still_being_written(
    others: int, scripts: Scripts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It grows in the pause between two checks, also if another schedule has just fired."""
    folder = scripts.add("grows", CALL, WhenChanged())
    text = folder / "text.txt"
    text.write_text("begun")
    if others:
        scripts.add("due", CALL, Cron(cron="* * * * *"))
        with schedules.open_store(scripts.workspace) as store:
            store.set_next("due", datetime.now().astimezone() - timedelta(minutes=5))
    with monkeypatch.context() as writing:
        writing.setattr(time, "sleep", lambda _: text.write_text(text.read_text() + " and going on"))
        assert len(scripts.run_due()) == others
    assert calls(folder) == 0
    assert ("finished", "never fired before") in scripts.run_due()


def test_once_runs_schedules_triggered_by_another_run_in_any_order(scripts: Scripts) -> None:
    """The run of `writes` changes a text of `reads`, which was checked before it."""
    reads = scripts.add("reads", CALL, WhenChanged())
    assert [outcome for outcome, _ in scripts.run_due()] == ["finished"]
    text = reads / "news.txt"
    scripts.add("writes", f"Path({str(text)!r}).write_text('news')", WhenChanged())
    assert scripts.run_due() == [("finished", "never fired before"), ("finished", "1 new: news.txt")]
    assert calls(reads) == 2


def test_clock_set_back_does_not_delay_schedules(scripts: Scripts) -> None:
    """Next times were computed at 13:00 for 13:30; now it is 12:00."""
    scripts.add("tiny", CALL, Cron(cron="*/30 * * * *"))
    scripts.add("polls", CALL, WhenChanged())
    now = datetime.now().astimezone()
    with schedules.open_store(scripts.workspace) as store:
        for name in ("tiny", "polls"):
            store.set_next(name, now + timedelta(hours=1, minutes=30))
        repair_due_times(scripts.workspace, store)
    for name in ("tiny", "polls"):
        following = schedules.find(scripts.workspace, name).next
        assert following is not None
        assert following <= now + timedelta(minutes=31)
    polls = schedules.find(scripts.workspace, "polls").next
    assert polls is not None
    assert polls <= datetime.now().astimezone(), "one that polls is due at once"


def test_run_that_was_cut_off_is_due_at_once_unless_its_schedule_is_paused(scripts: Scripts) -> None:
    folders = {name: scripts.add(name, CALL, Cron(cron="@yearly")) for name in ("cut", "paused", "plain")}
    schedules.pause(scripts.workspace, "paused")
    for name in ("cut", "paused"):
        _note(scripts.workspace, name, PendingRun("cron @yearly", attempt=1))
    before = schedules.find(scripts.workspace, "plain").next
    with schedules.open_store(scripts.workspace) as store:
        repair_due_times(scripts.workspace, store)
    times = {name: schedules.find(scripts.workspace, name).next for name in folders}
    assert (times["paused"], times["plain"]) == (None, before)
    assert times["cut"] is not None
    assert times["cut"] <= datetime.now().astimezone()
    with schedules.open_store(scripts.workspace) as store:
        store.set_next("cut", before)
    assert scripts.run_due() == [("finished", "cron @yearly")]
    assert {name: calls(folder) for name, folder in folders.items()} == {"cut": 1, "paused": 0, "plain": 0}


def test_overdue_run_stays_due_after_repairing_times(scripts: Scripts) -> None:
    scripts.add("tiny", CALL, Cron(cron="@hourly"))
    due = datetime.now().astimezone() - timedelta(hours=2)
    with schedules.open_store(scripts.workspace) as store:
        store.set_next("tiny", due)
        repair_due_times(scripts.workspace, store)
    assert schedules.find(scripts.workspace, "tiny").next == due


def test_clock_watch_reports_only_backward_jumps() -> None:
    wall, steady = [1000.0], [50.0]
    watch = ClockWatch(lambda: wall[0], lambda: steady[0])
    for passed, jumped, noticed in (
        (1, 0, False),
        (1, -3600, True),
        (1, 0, False),
        (1, 3600, False),
        (1, -0.5, False),
        (1, -5, False),
        (1, -5.5, True),
    ):
        wall[0] += passed + jumped
        steady[0] += passed
        assert watch.set_back() is noticed


def test_run_of_a_killed_scheduler_is_repeated_after_the_orphan_ends(scripts: Scripts) -> None:
    """kill -9 of the scheduler while its run continues; the next scheduler neither repeats nor loses it."""
    code = (
        "import time\n(here / 'begun').open('a').write('b')\n"
        "while not (here / 'end').exists(): time.sleep(0.05)\n" + CALL
    )
    folder = scripts.add("tiny", code, WhenChanged(every=1))
    first = serving(scripts)
    until((folder / "begun").exists)
    first.send_signal(signal.SIGKILL)
    first.wait()
    begun = read_pending(scripts.workspace, "tiny")
    assert begun is not None
    assert begun.reason == "never fired before"
    second = serving(scripts)
    try:
        time.sleep(1.5)
        assert (folder / "begun").read_text() == "b"
        (folder / "end").touch()
        until(lambda: list(results(scripts.workspace, "tiny")))
    finally:
        second.terminate()
        second.wait()
    (result,) = results(scripts.workspace, "tiny")
    assert (result.outcome, result.reason) == ("finished", "never fired before")
    assert calls(folder) == 2  # the orphan's, and that of its successor, which finds all cached
    assert read_pending(scripts.workspace, "tiny") is None


def test_at_once_limits_concurrent_runs(scripts: Scripts) -> None:
    mark = "(here.parent / 'marks').open('a').write"
    note = f"import time\n{mark}('b')\ntime.sleep(0.3)\n{mark}('e')"
    for number in range(3):
        scripts.add(f"s{number}", note, WhenChanged(every=1))
    program = SERVE.replace("flush=True))", "flush=True), at_once=1)")
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(scripts.workspace)], stdout=subprocess.DEVNULL
    )
    marks = scripts.workspace.parent / "marks"
    try:
        until(lambda: marks.exists() and len(marks.read_text()) >= 6)
    finally:
        os.kill(process.pid, signal.SIGTERM)
        process.wait()
    assert marks.read_text()[:6] == "bebebe"


def test_stored_job_has_the_settings_for_late_runs_and_a_name_of_its_own(scripts: Scripts) -> None:
    scripts.add("tiny", CALL, Cron(cron="* * * * *"))
    with schedules.jobs_of(scripts.workspace) as jobs:
        job = jobs.get_job("tiny")
        assert (job.coalesce, job.max_instances, job.misfire_grace_time) == (True, 1, None)
        with pytest.raises(ConflictingIdError):
            jobs.add_job(job.func, job.trigger, id="tiny", kwargs=job.kwargs)


def test_busy_database_of_schedules_is_not_taken_for_a_damaged_one(
    scripts: Scripts, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts.add("tiny", CALL, Cron(cron="@yearly"))

    def busy(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database is locked")

    with monkeypatch.context() as others:
        others.setattr(sqlite3, "connect", busy)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            schedules.entries(scripts.workspace)
    assert [entry.name for entry in schedules.entries(scripts.workspace)] == ["tiny"]
    assert not list(scripts.workspace.glob("*damaged*"))


def test_copy_of_the_schedules_that_another_process_is_writing_is_left_to_it(scripts: Scripts) -> None:
    other = scripts.workspace / ".schedule.json.unfinished"
    other.parent.mkdir()
    other.write_text("half")
    scripts.add("tiny", CALL, Cron(cron="@yearly"))
    assert other.read_text() == "half"


def test_checks_and_runs_have_ended_when_the_scheduler_has(scripts: Scripts) -> None:
    scripts.add("tiny", CALL, WhenChanged(every=1))
    begun, stop, ended = threading.Event(), threading.Event(), list[str]()

    def fire(name: str, schedule: object) -> None:
        begun.set()
        stop.wait(TIMEOUT)
        time.sleep(0.2)  # longer than a shutdown that does not wait for this
        ended.append(name)

    with schedules.jobs_of(scripts.workspace, fire, stop.set):
        assert begun.wait(TIMEOUT)
    assert ended == ["tiny"]
