"""The store: an attempt begins with an empty `out`, and what it made appears by one rename."""

from __future__ import annotations

from pathlib import Path

from kepipe.flow.store import Store


def test_an_attempt_finds_its_checkpoints_and_nothing_of_what_the_last_one_wrote(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = store.start("key")
    (first.out / "half").write_text("half")
    (first.scratch / "checkpoint").write_text("whole")
    second = store.start("key")
    assert second == first
    assert not list(second.out.iterdir())
    assert (second.scratch / "checkpoint").read_text() == "whole"


def test_a_result_is_the_very_folder_that_was_worked_in(tmp_path: Path) -> None:
    """A rename cannot be seen half done; a copy can."""
    store = Store(tmp_path)
    workdir = store.start("key")
    (workdir.out / "value").write_text("1")
    folder, file = workdir.out.stat().st_ino, (workdir.out / "value").stat().st_ino
    done, _ = store.finish("key", workdir, {}, "run", {})
    assert (done.stat().st_ino, (done / "value").stat().st_ino) == (folder, file)
    assert not store.unfinished()
