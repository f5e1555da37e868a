"""Triggers: a change of content that has settled, another schedule's success, an hour in a time zone."""

from __future__ import annotations

import os
import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from kepipe.config import ConfigError
from kepipe.flow import scheduler, schedules
from kepipe.flow.history import Result, remember
from kepipe.flow.triggers import on_drift
from kepipe.flow.triggers.after import After
from kepipe.flow.triggers.base import CheckResult, TriggerContext
from kepipe.flow.triggers.cron import Cron
from kepipe.flow.triggers.on_drift import OnDrift
from kepipe.flow.triggers.when_changed import WhenChanged, describe_changes
from tests.support.schedules import CALL, Scripts, calls, make_scripts


@pytest.fixture
def scripts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scripts:
    monkeypatch.setattr(scheduler, "RECHECK_SECONDS", 0.0)
    return make_scripts(tmp_path, monkeypatch)


def test_content_change_triggers_once_and_mtime_change_never(scripts: Scripts) -> None:
    folder = scripts.add("tiny", CALL, WhenChanged())
    assert scripts.run_due() == [("finished", "never fired before")]
    assert scripts.run_due() == []
    os.utime(folder / "tiny.py", (1, 1))
    assert scripts.run_due() == []
    (folder / "io.txt").write_text("Io")
    (folder / "titan.txt").write_text("Titan")
    assert scripts.run_due() == [("finished", "2 new: io.txt, titan.txt")]
    (folder / "io.txt").write_text("Io has volcanoes.")
    (folder / "titan.txt").unlink()
    assert scripts.run_due() == [("finished", "1 changed: io.txt; 1 gone: titan.txt")]
    assert scripts.run_due() == []
    assert calls(folder) == 3


def test_change_must_be_seen_twice(scripts: Scripts) -> None:
    """A file that is still being written triggers nothing until it stays the same."""
    written: list[dict[str, str]] = [{"a": "1"}, {"a": "2"}, {"a": "3"}, {"a": "3"}, {"a": "3"}]
    kept: dict[str, object] = {"fired": {"a": "0"}}
    reasons = []
    for state in written:
        context = TriggerContext(scripts.workspace, Path("p"), (), lambda *_, state=state: state, kept)
        check = WhenChanged().check(context)
        reasons.append(check.reason)
        kept = dict(check.state_after_run if check.reason else check.state)
    assert reasons == ["", "", "", "1 changed: a", ""]
    assert kept == {"fired": {"a": "3"}}


def test_reverted_change_triggers_nothing() -> None:
    kept = {"fired": {"a": "0"}, "seen": {"a": "1"}}
    check = WhenChanged().check(TriggerContext(Path(), Path("p"), (), lambda *_: {"a": "0"}, kept))
    assert check == CheckResult(state={"fired": {"a": "0"}})


def test_failed_run_is_repeated_only_after_a_change(scripts: Scripts) -> None:
    folder = scripts.add("tiny", CALL + "; raise SystemExit(1)", WhenChanged())
    assert [outcome for outcome, _ in scripts.run_due()] == ["failed"]
    assert scripts.run_due() == []
    (folder / "io.txt").write_text("Io")
    assert [outcome for outcome, _ in scripts.run_due()] == ["failed"]
    assert calls(folder) == 2


def test_failing_trigger_check_is_reported_once(scripts: Scripts) -> None:
    folder = scripts.add("tiny", CALL, WhenChanged())
    (folder / "tiny.py").unlink()
    ((outcome, reason),) = scripts.run_due()
    assert outcome == "failed"
    assert "check failed" in reason
    assert "tiny.py" in reason
    assert scripts.run_due() == []
    assert [name for name, _ in scripts.alerts] == ["tiny"]


def test_manual_run_counts_for_the_current_content(scripts: Scripts) -> None:
    folder = scripts.add("tiny", CALL, WhenChanged())
    assert schedules.run_now(scripts.workspace, "tiny", scripts.options).reason == "by hand"
    assert scripts.run_due() == []
    assert calls(folder) == 1


def test_drift_triggers_and_is_checked_only_after_a_change(
    scripts: Scripts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command is a script here that records its arguments; `tests/docs` runs the real one."""
    check = tmp_path / "check.py"
    monkeypatch.setattr(on_drift, "COMMAND", (sys.executable, str(check)))
    note = f"import sys\nopen({str(tmp_path / 'asked')!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')\n"
    check.write_text(note + "print('no drift')")
    folder = scripts.add("tiny", CALL, OnDrift(), overrides=("seed=3",))
    assert scripts.run_due() == []
    assert scripts.run_due() == []
    asked = f"{folder / 'tiny.py'} --exit-code --workspace {scripts.workspace} --set seed=3\n"
    assert (tmp_path / "asked").read_text() == asked
    (folder / "io.txt").write_text("Io")
    check.write_text(note + "print('a page')\nprint('drift in 12 new documents')\nsys.exit(10)")
    assert scripts.run_due() == [("finished", "drift in 12 new documents")]
    assert scripts.run_due() == []
    (folder / "io.txt").write_text("Io has volcanoes.")
    check.write_text(note + "sys.exit('no model was trained yet')")
    assert scripts.run_due() == [("failed", "check failed: no model was trained yet")]
    assert scripts.run_due() == []
    assert calls(folder) == 1


def test_after_trigger_runs_in_the_same_pass_and_only_after_success(scripts: Scripts) -> None:
    first = scripts.add("first", CALL, WhenChanged())
    second = scripts.add("second", CALL, After(after="first"))
    third = scripts.add("third", CALL, After(after="second"))
    assert scripts.run_due() == [
        ("finished", "never fired before"),
        ("finished", "first has finished"),
        ("finished", "second has finished"),
    ]
    assert scripts.run_due() == []
    (first / "first.py").write_text("raise SystemExit(2)")
    assert [outcome for outcome, _ in scripts.run_due()] == ["failed"]
    assert (calls(first), calls(second), calls(third)) == (1, 1, 1)


def test_after_trigger_ignores_earlier_successes(scripts: Scripts) -> None:
    scripts.add("first", CALL, Cron(cron="@yearly"))
    remember(scripts.workspace, "first", Result(5.0, 1.0, "finished"))
    scripts.add("second", CALL, After(after="first"))
    assert scripts.run_due() == []
    remember(scripts.workspace, "first", Result(6.0, 1.0, "failed"))
    assert scripts.run_due() == []
    remember(scripts.workspace, "first", Result(7.0, 1.0, "finished"))
    assert scripts.run_due() == [("finished", "first has finished")]


def test_cyclic_or_unknown_after_trigger_is_rejected(scripts: Scripts) -> None:
    scripts.add("first", CALL, Cron(cron="@yearly"))
    with pytest.raises(ConfigError, match=r"no schedule `frist`.*first"):
        scripts.add("second", CALL, After(after="frist"))
    scripts.add("second", CALL, After(after="first"))
    with pytest.raises(ConfigError, match="first after second after first: none of them would ever fire"):
        scripts.add("first", CALL, After(after="second"))
    with pytest.raises(ConfigError, match="second fires after first: remove second first"):
        schedules.remove(scripts.workspace, "first")


def test_cron_times_follow_the_time_zone_across_daylight_saving(scripts: Scripts) -> None:
    scripts.add("tiny", CALL, Cron(cron="0 2 * * *", zone="America/New_York"))
    entry = schedules.find(scripts.workspace, "tiny")
    zone = ZoneInfo("America/New_York")
    assert [at.astimezone(zone).hour for at in schedules.next_times(entry, 400)] == [
        2
    ] * 400  # 2:00 twice or not at all
    before = datetime(2026, 11, 1, 0, 0, tzinfo=zone)
    assert Cron(cron="30 6 * * *", zone="UTC").timetable().get_next_fire_time(None, before) == datetime(
        2026, 11, 1, 6, 30, tzinfo=ZoneInfo("UTC")
    )
    with pytest.raises(ConfigError, match="time zone 'Mars/Olympus': unknown"):
        scripts.add("tiny", CALL, Cron(cron="@daily", zone="Mars/Olympus"))


@pytest.mark.parametrize(
    ("before", "now", "text"),
    [
        ({}, {"a": "1"}, "never fired before"),
        ({"a": "1"}, dict.fromkeys("dcba", "1"), "3 new: b, c, d"),
        ({"a": "1"}, dict.fromkeys("edcba", "1"), "4 new: b, c, d, …"),
        ({"a": "1", "b": "1"}, {"a": "2", "c": "1"}, "1 new: c; 1 changed: a; 1 gone: b"),
    ],
)
def test_reason_names_up_to_three_files_of_each_kind(
    before: dict[str, str], now: dict[str, str], text: str
) -> None:
    assert describe_changes(before, now) == text


@pytest.mark.parametrize("trigger", [WhenChanged, OnDrift])
def test_triggers_are_checked_at_most_every_second(trigger: type[WhenChanged] | type[OnDrift]) -> None:
    assert trigger(every=1).timetable().interval_length == 1  # type: ignore[attr-defined]
    assert trigger(every=2.6).timetable().interval_length == 3  # type: ignore[attr-defined]
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        trigger(every=0.9)


def test_cron_is_asked_only_when_it_is_due(scripts: Scripts) -> None:
    scripts.add("tiny", CALL, Cron(cron="@yearly"))
    assert scripts.run_due() == []
    assert not CheckResult().recheck_soon


def test_drift_without_output_has_a_reason(
    scripts: Scripts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several lines the last counts, of the standard output if there is drift, else of the errors."""
    check = tmp_path / "check.py"
    monkeypatch.setattr(on_drift, "COMMAND", (sys.executable, str(check)))
    folder = scripts.add("tiny", CALL, OnDrift())
    ends = []
    for number, code in enumerate(
        ["sys.exit(10)", "print('a\\nb\\ndrift in 3')\nsys.exit(10)", "sys.exit(3)",
         "print('out')\nsys.exit('a\\nb\\nno model')"]
    ):  # fmt: skip
        (folder / "io.txt").write_text(str(number))
        check.write_text(f"import sys\n{code}")
        ends += scripts.run_due()
    assert ends == [
        ("finished", "drift"),
        ("finished", "drift in 3"),
        ("failed", "check failed: `kepipe drift` ended with 3"),
        ("failed", "check failed: no model"),
    ]
