"""Lists of results in use: those of running runs are protected, those of ended or killed runs are not."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from kepipe.flow.live_runs import LiveRuns
from tests.support.waiting import TIMEOUT


def used(live: LiveRuns, besides: str = "") -> set[str]:
    with live.guard():
        return live.in_use(besides)


def test_results_are_in_use_until_their_run_ends(tmp_path: Path) -> None:
    live = LiveRuns(tmp_path)
    with live.track("first") as note, live.track("second") as note_second:
        note("a")
        note("b")
        note_second("b")
        assert used(live) == {"a", "b"}
        assert used(live, besides="first") == {"b"}
    assert used(live) == set()


def test_run_without_results_leaves_nothing(tmp_path: Path) -> None:
    with LiveRuns(tmp_path / "store" / "live").track("first"):
        pass
    assert [file.name for file in (tmp_path / "store" / "live").iterdir()] == ["guard.lock"]


def test_list_of_a_killed_run_is_removed(tmp_path: Path) -> None:
    """Nobody holds its lock."""
    (tmp_path / "killed.keys").write_text("a\n")
    live = LiveRuns(tmp_path)
    with live.track("first") as note:
        note("b")
        assert used(live) == {"b"}
    assert not list(tmp_path.glob("*.keys"))


def test_list_is_not_removed_while_another_process_reads_it(tmp_path: Path) -> None:
    """A run that ends meanwhile waits: the list that was found a moment ago is still there to be read."""
    live, noted, end = LiveRuns(tmp_path), threading.Event(), threading.Event()

    def run() -> None:
        with live.track("run") as note:
            note("a")
            noted.set()
            end.wait(TIMEOUT)

    thread = threading.Thread(target=run)
    thread.start()
    assert noted.wait(TIMEOUT)
    with live.guard():
        end.set()
        time.sleep(0.3)  # it would be gone by now
        assert live.in_use() == {"a"}
    thread.join(TIMEOUT)
    assert used(live) == set()


def test_lock_that_was_removed_meanwhile_is_no_error(tmp_path: Path) -> None:
    with LiveRuns(tmp_path).track("first"):
        (tmp_path / "first.lock").unlink()
    assert [file.name for file in tmp_path.iterdir()] == ["guard.lock"]
