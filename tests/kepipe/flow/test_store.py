"""The store: an attempt starts with an empty `out`, and one rename publishes its result."""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from kepipe import files
from kepipe.flow import artifact
from kepipe.flow.plan import key_of
from kepipe.flow.shared_store import SharedStore
from kepipe.flow.store import Store, size
from tests.support.waiting import TIMEOUT


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
    logged = [
        {"step": 3, "a": 1},
        {"step": 1, "a": 0},
        {"step": 2, "a": 1},
        {"step": None, "end": 9},
        {"step": 0, "a": 7},
        {"step": 2, "a": 5, "b": 6},
    ]
    workdir.metrics.write_text("".join(json.dumps(entry) + "\n" for entry in logged) + "torn {")
    done, _ = store.finish("key", workdir, {}, "run", {})
    kept = [json.loads(line) for line in (done / "record" / "metrics.jsonl").read_text().splitlines()]
    assert kept.pop(0) == {"step": 0, "a": 7}
    assert kept.pop(2) == {"step": 3, "a": 1}
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


WEEK = 7 * 24 * 3600


@pytest.mark.parametrize(("age", "is_found"), [(WEEK - 600, True), (WEEK + 600, False)])
def test_large_files_are_digested_again_after_a_week(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, age: float, is_found: bool
) -> None:
    """A week after they were made or last digested."""
    monkeypatch.setattr(artifact, "ALWAYS_DIGESTED", 0)
    store, warnings = Store(tmp_path), list[str]()
    done = finished(store, "key")
    stat, then = (done / "value").stat(), time.time() - age
    os.utime(done / "artifact.json", (then, then))
    assert store.find("key", warnings.append) == done
    (done / "value").write_text("54321")
    os.utime(done / "value", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert store.find("key", warnings.append) == done, "digested a moment ago, or not yet"
    if (done / "record" / "verified").exists():
        os.utime(done / "record" / "verified", (then, then))
    assert (store.find("key", warnings.append) == done) == is_found
    assert (warnings == []) == is_found
    assert len(store.damaged()) == (not is_found)
    assert store.damage("other") is not None


def test_damaged_result_is_set_aside_by_the_process_with_its_lock(tmp_path: Path) -> None:
    store, warnings = Store(tmp_path), list[str]()
    done = finished(store, "key")
    (done / "value").write_text("x")
    with store.lock("key", lambda: pytest.fail("nobody has it")):
        assert store.find("key", warnings.append) is None
        assert (store.damaged(), warnings, store.holds("key")) == ([], [], True)
        assert store.remove(done) is None
    store.set_aside("other", warnings.append)
    assert store.find("key", warnings.append) is None
    (aside,) = store.damaged()
    assert f"moved to {aside}, and will be made again" in warnings[0]
    done = finished(store, "key")
    (done / "value").write_text("x")
    with store.lock("key", lambda: None):
        assert store.find("key", warnings.append, locked=True) is None
    assert len(store.damaged()) == 2
    with store.lock("key", lambda: None):
        assert store.remove(aside) is None, "it has the lock of its key"
    assert store.remove(aside) == size(store.damaged()[0])


def test_intact_result_is_not_set_aside(tmp_path: Path) -> None:
    store = Store(tmp_path)
    finished(store, "key")
    store.set_aside("key", pytest.fail, thorough=True)
    assert store.holds("key")


def test_large_file_of_a_result_is_digested_before_it_is_set_aside_if_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(artifact, "ALWAYS_DIGESTED", 0)
    store, warnings = Store(tmp_path), list[str]()
    file = finished(store, "key") / "value"
    stat = file.stat()
    file.write_text("54321")
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    store.set_aside("key", pytest.fail)
    assert store.holds("key")
    store.set_aside("key", warnings.append, thorough=True)
    assert (store.holds("key"), len(warnings)) == (False, 1)


def test_attempt_that_cannot_be_removed_does_not_fail_its_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path)
    workdir = store.start("key")
    (workdir.scratch / "checkpoint").touch()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError

    monkeypatch.setattr(os, "unlink", refuse)
    store.finish("key", workdir, {}, "run", {})
    assert store.holds("key")


def test_only_the_guard_is_awaited_before_a_result_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, timeouts = Store(tmp_path), dict[str, float]()
    done, lock = finished(store, "key"), files.lock

    def noted(file: Path, timeout: float = -1) -> AbstractContextManager[bool]:
        timeouts[file.name] = timeout
        return lock(file, timeout)

    monkeypatch.setattr(files, "lock", noted)
    store.remove(done)
    assert timeouts == {"key.lock": 0, "guard.lock": -1}


def test_result_in_use_is_neither_removed_nor_forgotten_but_by_its_run(tmp_path: Path) -> None:
    store = Store(tmp_path)
    done = finished(store, "key")
    attempt = store.start("key").out.parent
    with store.live.track("run") as mark_in_use:
        mark_in_use("key")
        assert (store.remove(done), store.forget("key"), store.forget("key", "other")) == (None, False, False)
        assert store.remove(attempt) == 0, "an attempt is no result"
        assert store.forget("key", "run")
    assert not store.holds("key")
    assert not list((tmp_path / "trash").iterdir())


def test_attempt_without_checkpoints_is_not_resumed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert not store.resumable("key")
    workdir = store.start("key")
    assert not store.resumable("key")
    (workdir.scratch / "checkpoint").touch()
    assert store.resumable("key")
    store.discard(workdir)
    assert (store.resumable("key"), store.unfinished()) == (False, [])


def test_waiting_for_a_lock_is_told_once(tmp_path: Path) -> None:
    store, waited = Store(tmp_path), list[str]()
    other = threading.Event()

    def hold() -> None:
        with store.lock("key", lambda: None):
            held.set()
            other.wait(TIMEOUT)

    held, thread = threading.Event(), threading.Thread(target=hold)
    thread.start()
    assert held.wait(TIMEOUT)

    def wait() -> None:
        waited.append("waits")
        other.set()

    with store.lock("key", wait):
        thread.join(TIMEOUT)
    assert waited == ["waits"]


def test_record_that_a_stage_wrote_is_kept_beside_that_of_its_run(tmp_path: Path) -> None:
    store = Store(tmp_path)
    workdir = store.start("key")
    (workdir.out / "record").mkdir()
    (workdir.out / "record" / "page.html").touch()
    done, _ = store.finish("key", workdir, {}, "run", {"seconds": 1.0})
    assert sorted(file.name for file in (done / "record").iterdir()) == ["page.html", "run.json"]
    assert json.loads((done / "record" / "run.json").read_text()) == {"seconds": 1.0}


def test_memos_that_no_run_used_since_are_removed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    memo = store.memo("link")
    (memo / "old").mkdir(parents=True)
    for name, at in (("old/a", 100), ("b", 200), ("c", 300)):
        (memo / name).write_text("12345")
        os.utime(memo / name, (at, at))
    os.utime(memo / "old", (100, 100))
    assert store.forget_memos(200.0, dry_run=True) == 5
    assert (memo / "old" / "a").exists()
    assert store.forget_memos(200.0) == 5
    assert sorted(path.name for path in memo.rglob("*")) == ["b", "c", "old"]
    assert store.forget_memos(1000.0) == 10
    assert store.forget_memos(1000.0) == 0


def test_results_are_pulled_from_the_shared_store_under_the_lock(tmp_path: Path) -> None:
    key, warnings, folder = key_of({}), list[str](), tmp_path / "shared"
    one, other = (Store(tmp_path / name, SharedStore(str(folder))) for name in "ab")
    finished(one, key)
    assert not other.is_shared(key, warnings.append)
    assert one.share(key, warnings.append) == size(folder)
    assert one.share(key, warnings.append) == 0
    assert other.is_shared(key, warnings.append)
    assert other.find(key, warnings.append) is None
    (tmp_path / "b" / "incoming" / key).mkdir(parents=True)
    found = other.find(key, warnings.append, locked=True)
    assert found is not None
    assert (found / "value").read_text() == "12345"
    assert not list((tmp_path / "b" / "incoming").iterdir())
    alone = Store(tmp_path / "c")
    assert (alone.is_shared(key, warnings.append), alone.share(key, warnings.append)) == (False, 0)
    assert alone.find(key, warnings.append, locked=True) is None
    assert warnings == []
