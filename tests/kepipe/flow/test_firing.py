"""A scheduled run: retries with backoff, a time limit, its entry in the history."""

from __future__ import annotations

import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from kepipe.flow import firing, history, scheduled_run, schedules
from kepipe.flow.firing import (
    PendingRun,
    SchedulerOptions,
    ScheduleRunner,
    _note,
    read_pending,
    read_state,
    write_state,
)
from kepipe.flow.history import KEPT, Result, last_result, remember, results
from kepipe.flow.scheduled_run import pipeline_lock, run_pipeline
from kepipe.flow.triggers.cron import Cron
from kepipe.flow.triggers.when_changed import WhenChanged
from tests.support.schedules import CALL, Scripts, calls, make_scripts

FAILS_TWICE = CALL + "\nraise SystemExit(len((here / 'calls').read_text()) < 3)"


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scripts:
    return make_scripts(tmp_path, monkeypatch)


def fire(scripts: Scripts, name: str) -> Result | None:
    return ScheduleRunner(scripts.workspace, scripts.options).fire_if_due(
        name, schedules.find(scripts.workspace, name).schedule
    )


def test_failed_run_is_retried_with_backoff(scripts: Scripts) -> None:
    scripts.add("tiny", FAILS_TWICE, Cron(cron="@yearly"), retries=3, backoff=0.01)
    result = fire(scripts, "tiny")
    assert result is not None
    assert (result.outcome, result.attempts) == ("finished", 3)
    assert ["attempt 2 starts in 0 s" in line or "attempt 3 starts in 0 s" in line for line in scripts.messages] == [
        False, True, True, False,
    ]  # fmt: skip
    assert [each.attempts for each in results(scripts.workspace, "tiny")] == [3]
    assert [(name, result.outcome) for name, result in scripts.alerts] == [("tiny", "finished")]


def test_pauses_between_attempts_double_and_the_last_line_tells_attempts_and_log(
    scripts: Scripts, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts.add("tiny", "raise SystemExit(1)", Cron(cron="@yearly"), retries=3)
    runner, pauses = ScheduleRunner(scripts.workspace, scripts.options), list[float]()
    monkeypatch.setattr(runner._stop, "wait", pauses.append)
    result = runner.fire_if_due("tiny", schedules.find(scripts.workspace, "tiny").schedule)
    assert result is not None
    assert pauses == [60.0, 120.0, 240.0]
    assert [line.partition("starts in ")[2].partition(";")[0] for line in scripts.messages[1:-1]] == [
        "60 s", "120 s", "240 s",
    ]  # fmt: skip
    assert f"failed after {result.seconds:.1f} s at attempt 4; see {result.log}" in scripts.messages[-1]
    assert 0 <= result.seconds < 3600


def test_line_of_a_run_that_succeeds_at_once_tells_neither_attempts_nor_log(scripts: Scripts) -> None:
    scripts.add("tiny", CALL, Cron(cron="@yearly"))
    result = fire(scripts, "tiny")
    assert result is not None
    assert scripts.messages[-1].endswith(f"finished after {result.seconds:.1f} s")


def test_retry_waits_for_a_run_of_the_pipeline_that_began_meanwhile(
    scripts: Scripts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firing, "POLL_SECONDS", 0.01)
    folder = scripts.add("tiny", FAILS_TWICE.replace("3", "2"), Cron(cron="@yearly"), retries=1, backoff=0.01)
    runner, other = ScheduleRunner(scripts.workspace, scripts.options), ExitStack()
    told = runner._say

    def begin_another_run(name: str, what: str) -> None:
        told(name, what)
        if "retry" in what:
            other.enter_context(pipeline_lock(scripts.workspace, folder / "tiny.py"))
            threading.Timer(0.2, other.close).start()

    monkeypatch.setattr(runner, "_say", begin_another_run)
    result = runner.fire_if_due("tiny", schedules.find(scripts.workspace, "tiny").schedule)
    assert result is not None
    assert (result.outcome, result.attempts, calls(folder)) == ("finished", 2, 2)


def test_failed_check_is_told_without_attempts_and_log(scripts: Scripts) -> None:
    folder = scripts.add("tiny", CALL, WhenChanged())
    (folder / "tiny.py").unlink()
    result = fire(scripts, "tiny")
    assert result is not None
    assert (result.outcome, result.seconds, result.attempts) == ("failed", 0.0, 1)
    assert scripts.messages[-1].endswith("failed after 0.0 s; see ")
    assert fire(scripts, "tiny") is None
    (folder / "tiny.py").mkdir()
    assert fire(scripts, "tiny") is not None, "another reason"


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("130", "stopped"),
        ("os.kill(os.getpid(), 2)", "stopped"),
        ("os.kill(os.getpid(), 15)", "stopped"),
        ("1", "failed"),
        ("os.kill(os.getpid(), 9)", "failed"),
        ("0 if os.getsid(0) == os.getpid() else 1", "finished"),
    ],
)
def test_outcome_tells_an_interrupted_run_from_a_failed_one(
    scripts: Scripts, code: str, outcome: str
) -> None:
    """A run has a session of its own, which Ctrl-C in a terminal does not reach."""
    scripts.add("tiny", f"import os\nraise SystemExit({code})", Cron(cron="@yearly"))
    result = fire(scripts, "tiny")
    assert result is not None
    assert result.outcome == outcome


def test_newest_logs_of_a_schedule_are_kept(scripts: Scripts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduled_run, "KEPT", 2)
    folder = scripts.add("tiny", CALL, Cron(cron="@yearly"))
    logs = [
        run_pipeline(scripts.workspace, "tiny", schedules.find(scripts.workspace, "tiny").schedule).log
        for _ in range(3)
    ]
    assert sorted(map(str, (scripts.workspace / "schedule" / "tiny").glob("*.log"))) == logs[1:]
    assert calls(folder) == 3


def test_failed_run_stops_after_the_configured_retries(scripts: Scripts) -> None:
    folder = scripts.add(
        "tiny", CALL + "\nraise SystemExit(1)", Cron(cron="@yearly"), retries=1, backoff=0.01
    )
    result = fire(scripts, "tiny")
    assert result is not None
    assert (result.outcome, result.attempts, result.code) == ("failed", 2, 1)
    assert calls(folder) == 2
    assert read_pending(scripts.workspace, "tiny") is None


def test_retry_count_continues_after_a_kill(scripts: Scripts) -> None:
    folder = scripts.add(
        "tiny", CALL + "\nraise SystemExit(1)", Cron(cron="@yearly"), retries=2, backoff=0.01
    )
    _note(scripts.workspace, "tiny", PendingRun("cron @yearly", attempt=3))
    result = fire(scripts, "tiny")
    assert result is not None
    assert (result.outcome, result.attempts, result.reason) == ("failed", 3, "cron @yearly")
    assert calls(folder) == 1


def test_run_that_exceeds_its_timeout_is_interrupted(scripts: Scripts) -> None:
    """By a signal, so that it can save its state. How far it gets depends on the machine."""
    code = "import time\ntime.sleep(3600)\n(here / 'calls').write_text('x')"
    folder = scripts.add("tiny", code, Cron(cron="@yearly"), timeout=1.0)
    result = fire(scripts, "tiny")
    assert result is not None
    assert result.outcome == "timed out"
    assert result.code not in (0, -9)
    assert not (folder / "calls").exists()


def test_manual_run_starts_once_without_retries_and_keeps_its_log(scripts: Scripts) -> None:
    """In a workspace without earlier runs, whatever the trigger says, without retries."""
    folder = scripts.add(
        "tiny", CALL + "\nprint('by', 'hand')\nraise SystemExit(1)", Cron(cron="@yearly"), retries=3
    )
    for times in (1, 2):
        firings, schedule = (
            ScheduleRunner(scripts.workspace, scripts.options),
            schedules.find(scripts.workspace, "tiny").schedule,
        )
        result = firings.run_manually("tiny", schedule)
        assert (result.outcome, result.reason, result.attempts) == ("failed", "by hand", 1)
        assert Path(result.log).read_text() == "by hand\n"
        assert calls(folder) == times
    assert len({each.log for each in results(scripts.workspace, "tiny")}) == 2


def test_due_run_is_skipped_while_its_pipeline_runs(scripts: Scripts) -> None:
    """Cron too starts no second copy. A skipped run is neither in the history nor in the notices."""
    folder = scripts.add("tiny", CALL, Cron(cron="@yearly"))
    with pipeline_lock(scripts.workspace, folder / "tiny.py"):
        result = fire(scripts, "tiny")
    assert result is not None
    assert (result.outcome, result.seconds) == ("skipped", 0.0)
    assert (calls(folder), list(results(scripts.workspace, "tiny")), scripts.alerts) == (0, [], [])
    assert read_pending(scripts.workspace, "tiny") is None


def test_killed_run_waits_for_the_pipeline_lock_and_is_repeated_once(
    scripts: Scripts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(firing, "POLL_SECONDS", 0.01)
    folder = scripts.add("tiny", CALL, Cron(cron="@yearly"))
    _note(scripts.workspace, "tiny", PendingRun("cron @yearly"))
    with ThreadPoolExecutor(1) as pool:
        with pipeline_lock(scripts.workspace, folder / "tiny.py"):
            waiting = pool.submit(fire, scripts, "tiny")
            with pytest.raises(TimeoutError):
                waiting.result(0.2)
            assert calls(folder) == 0
        result = waiting.result()
    assert result is not None
    assert (result.outcome, result.reason, result.attempts) == ("finished", "cron @yearly", 1)
    assert calls(folder) == 1


def test_retry_pending_at_shutdown_is_kept_for_the_next_scheduler(scripts: Scripts) -> None:
    scripts.add("tiny", CALL + "\nraise SystemExit(1)", WhenChanged(), retries=5, backoff=3600.0)
    runner = ScheduleRunner(scripts.workspace, scripts.options)
    schedule = schedules.find(scripts.workspace, "tiny").schedule
    assert runner.fire_if_due("tiny", schedule) is None  # seen once
    scripts.messages.clear()
    stopped = ScheduleRunner(scripts.workspace, scripts.options)
    original = stopped._say

    def stop_at_retry(name: str, what: str) -> None:
        original(name, what)
        if "starts in 3600 s" in what:
            stopped.stop()

    stopped._say = stop_at_retry  # type: ignore[method-assign]
    result = stopped.fire_if_due("tiny", schedule)
    assert result is not None
    assert result.outcome == "stopped"
    begun = read_pending(scripts.workspace, "tiny")
    assert begun is not None
    assert (begun.attempt, begun.reason) == (2, "never fired before")


def test_scheduler_that_is_stopping_starts_no_run(scripts: Scripts) -> None:
    folder = scripts.add("tiny", CALL, Cron(cron="@yearly"))
    runner = ScheduleRunner(scripts.workspace, scripts.options)
    runner.stop()
    result = runner.fire_if_due("tiny", schedules.find(scripts.workspace, "tiny").schedule)
    assert result is not None
    assert (result.outcome, result.seconds, calls(folder)) == ("stopped", 0.0, 0)


def test_two_pipelines_run_at_once_by_default(tmp_path: Path) -> None:
    runner = ScheduleRunner(tmp_path, SchedulerOptions())
    with runner._slot() as first, runner._slot() as second:
        assert len(first) == len(second) == 1
        runner.stop()
        with runner._slot() as third:
            assert third == []


def test_interrupted_wait_stops_the_run(scripts: Scripts, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C reaches the process that waits; the run gets a signal, and has not exceeded its time."""
    wait, waits = subprocess.Popen.wait, list[float | None]()

    def interrupted_once(process: subprocess.Popen[bytes], timeout: float | None = None) -> int:
        waits.append(timeout)
        if len(waits) == 1:
            raise KeyboardInterrupt
        return wait(process, timeout)

    monkeypatch.setattr(subprocess.Popen, "wait", interrupted_once)
    scripts.add("tiny", "import time\ntime.sleep(3600)", Cron(cron="@yearly"), timeout=1000.0)
    result = fire(scripts, "tiny")
    assert result is not None
    assert (result.outcome, result.code) == ("stopped", -15)


def test_log_that_is_gone_meanwhile_is_no_error(scripts: Scripts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scheduled_run, "KEPT", 1)
    scripts.add("tiny", CALL, Cron(cron="@yearly"))
    listed = Path.glob
    monkeypatch.setattr(Path, "glob", lambda path, names: [path / "0.log", *listed(path, names)])
    result = run_pipeline(scripts.workspace, "tiny", schedules.find(scripts.workspace, "tiny").schedule)
    assert result is not None
    assert result.outcome == "finished"


def test_pipeline_runs_in_a_workspace_that_is_not_there_yet(scripts: Scripts, tmp_path: Path) -> None:
    scripts.add("tiny", CALL, Cron(cron="@yearly"))
    with pipeline_lock(tmp_path / "a" / "b", tmp_path / "tiny.py") as handle:
        assert handle is not None
    schedule = schedules.find(scripts.workspace, "tiny").schedule
    assert run_pipeline(tmp_path / "c" / "d", "tiny", schedule).outcome == "finished"


def test_state_that_another_process_is_writing_is_left_to_it(tmp_path: Path) -> None:
    write_state(tmp_path, "tiny", {"digest": "d"})
    other = tmp_path / "schedule" / "tiny" / ".trigger.json.unfinished"
    other.write_text("half")
    write_state(tmp_path, "tiny", {"digest": "e"})
    assert (read_state(tmp_path, "tiny"), other.read_text()) == ({"digest": "e"}, "half")


def test_history_keeps_the_newest_runs_and_skips_a_truncated_line(tmp_path: Path) -> None:
    for number in range(3):
        remember(tmp_path, "tiny", Result(float(number), 1.0, "finished"))
    file = tmp_path / "schedule" / "tiny" / "history.jsonl"
    file.write_bytes(file.read_bytes()[:-10])
    remember(tmp_path, "tiny", Result(3.0, 1.0, "failed"))
    assert [result.started for result in results(tmp_path, "tiny")] == [3.0, 1.0, 0.0]
    found = last_result(tmp_path, "tiny", only="finished")
    assert found is not None
    assert found.started == 1.0
    file.write_bytes(file.read_bytes() * KEPT)
    remember(tmp_path, "tiny", Result(4.0, 1.0, "finished"))
    assert len(file.read_bytes().splitlines()) == KEPT + 1


def test_history_of_twice_the_kept_runs_is_cut_to_the_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "KEPT", 3)
    counts = []
    for number in range(9):
        remember(tmp_path, "tiny", Result(float(number), 1.0, "finished"))
        counts.append(len(list(results(tmp_path, "tiny"))))
    assert counts == [1, 2, 3, 4, 5, 6, 4, 5, 6]
    assert [result.started for result in results(tmp_path, "tiny")] == [8.0, 7.0, 6.0, 5.0, 4.0, 3.0]
    assert {result.attempts for result in results(tmp_path, "tiny")} == {1}
    assert b"\n\n" not in (tmp_path / "schedule" / "tiny" / "history.jsonl").read_bytes()


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"attempt": "x"}', "[" * 100_000])
def test_damaged_schedule_state_reads_as_none(tmp_path: Path, content: str) -> None:
    """The pipeline may run once too often, but no run is missed."""
    write_state(tmp_path, "tiny", {"digest": "d"})
    _note(tmp_path, "tiny", PendingRun("cron @yearly", attempt=3))
    assert read_state(tmp_path, "tiny") == {"digest": "d"}
    assert read_pending(tmp_path, "tiny") == PendingRun("cron @yearly", attempt=3)
    for file in (tmp_path / "schedule" / "tiny").iterdir():
        file.write_text(content)
    assert read_state(tmp_path, "tiny").get("digest") is None
    assert read_pending(tmp_path, "tiny") is None
