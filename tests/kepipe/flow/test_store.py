"""The store: an attempt starts with an empty `out`, and one rename publishes its result."""

from __future__ import annotations

import json
from pathlib import Path

from kepipe.flow.store import Store, size


def test_new_attempt_keeps_checkpoints_and_empties_out(tmp_path: Path) -> None:
    store = Store(tmp_path)
    first = store.start("key")
    (first.out / "half").write_text("half")
    (first.scratch / "checkpoint").write_text("whole")
    second = store.start("key")
    assert second == first
    assert not list(second.out.iterdir())
    assert (second.scratch / "checkpoint").read_text() == "whole"


def test_result_is_published_by_renaming_its_folder(tmp_path: Path) -> None:
    """A rename is atomic; a copy is not."""
    store = Store(tmp_path)
    workdir = store.start("key")
    (workdir.out / "value").write_text("1")
    folder, file = workdir.out.stat().st_ino, (workdir.out / "value").stat().st_ino
    done, _ = store.finish("key", workdir, {}, "run", {})
    assert (done.stat().st_ino, (done / "value").stat().st_ino) == (folder, file)
    assert not store.unfinished()


def test_metrics_are_sorted_by_step_and_deduplicated(tmp_path: Path) -> None:
    """Values that a resumed attempt logs again replace the earlier ones; final values come last."""
    store = Store(tmp_path)
    workdir = store.start("key")
    logged = [{"step": 2, "a": 1}, {"step": None, "end": 9}, {"step": 1, "a": 0}, {"step": 2, "a": 5, "b": 6}]
    workdir.metrics.write_text("".join(json.dumps(entry) + "\n" for entry in logged) + "torn {")
    done, _ = store.finish("key", workdir, {}, "run", {})
    kept = [json.loads(line) for line in (done / "record" / "metrics.jsonl").read_text().splitlines()]
    assert kept == [{"step": 1, "a": 0}, {"step": 2, "a": 5, "b": 6}, {"step": None, "end": 9}]


def finished(store: Store, key: str) -> Path:
    workdir = store.start(key)
    (workdir.out / "value").write_text("12345")
    return store.finish(key, workdir, {}, "run", {})[0]


def test_remove_returns_the_freed_bytes(tmp_path: Path) -> None:
    store = Store(tmp_path)
    done = finished(store, "key")
    expected = size(done)
    assert expected > 5
    assert store.remove(done) == expected
    assert not store.holds("key")
    assert not list((tmp_path / "trash").iterdir())


def test_forget_removes_the_result_and_its_leftover_attempt(tmp_path: Path) -> None:
    store = Store(tmp_path)
    finished(store, "key")
    (store.start("key").scratch / "checkpoint").touch()
    assert store.forget("key")
    assert not store.holds("key")
    assert not store.resumable("key")
    (store.start("key").scratch / "checkpoint").touch()
    assert store.forget("key"), "no result"
    assert store.resumable("key"), "the attempt stays"
