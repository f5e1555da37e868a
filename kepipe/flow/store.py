"""The store: finished artifacts in `done/<key>`, unfinished work in `work/<key>`, one lock per key.

An artifact is moved to `done` by one rename, so that it is complete or absent. Locks are held by the
operating system and released when their process ends.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from kepipe import files
from kepipe.flow.artifact import (
    MANIFEST,
    RECORD,
    CorruptArtifact,
    Manifest,
    read_manifest,
    read_metrics,
    seal,
    verify,
)
from kepipe.flow.live_runs import LiveRuns
from kepipe.flow.shared_store import SharedStore

T = TypeVar("T")
VERIFY_EVERY = 7 * 24 * 3600.0
"""Seconds after which every file of an artifact is digested again when it is used, even if its size and times match."""


@dataclass(frozen=True)
class WorkDir:
    """Folders of an unfinished stage: `out` becomes the artifact, `scratch` holds checkpoints."""

    out: Path
    scratch: Path

    @property
    def metrics(self) -> Path:
        return self.scratch.parent / "metrics.jsonl"

    @property
    def seconds(self) -> Path:
        """File with the wall-clock and processor seconds of earlier, interrupted attempts."""
        return self.scratch.parent / "seconds"


class Store:
    """A folder of artifacts by key."""

    def __init__(self, root: Path, shared: SharedStore | None = None) -> None:
        self.root, self.shared = root, shared
        self._done, self._work, self._locks = root / "done", root / "work", root / "locks"
        self.live = LiveRuns(root / "live")

    def find(self, key: str, on_damage: Callable[[str], None], *, locked: bool = False) -> Path | None:
        """The sealed folder of a key; None if there is none, or if it is damaged, which is reported and moved to
        `damaged/`.

        `locked`: the caller holds the key's lock; then an artifact that is missing is copied from the shared store, if
        that has it. Every `VERIFY_EVERY` seconds all files are digested.
        """
        if not self.holds(key) and not (locked and self._pull(key, on_damage)):
            return None
        if (damage := self.damage(key)) is None:
            return self._done / key
        if locked:
            on_damage(f"{damage}; moved to {self._set_aside(key)}, and will be made again")
        else:
            self.set_aside(key, on_damage)
        return None

    def damage(self, key: str, *, thorough: bool = False) -> CorruptArtifact | None:
        """What is wrong with a key's artifact; None if nothing. `thorough`: digest every file, even if it is not yet
        due."""
        folder = self._done / key
        verified = folder / RECORD / "verified"
        try:
            since = max(file.stat().st_mtime for file in (folder / MANIFEST, verified) if file.exists())
            thorough |= time.time() - since > VERIFY_EVERY
            verify(folder, thorough)
        except (ValueError, FileNotFoundError):  # missing, or removed by another process meanwhile
            return CorruptArtifact(f"{folder}: no readable {MANIFEST}")
        except CorruptArtifact as damage:
            return damage
        if thorough:
            with suppress(OSError):  # a store that this user may not write to
                verified.touch()
        return None

    def set_aside(self, key: str, on_damage: Callable[[str], None], *, thorough: bool = False) -> None:
        """Move a damaged artifact out of the way, unless another process holds its lock or the store is only read."""
        if not files.writable(self.root):
            if damage := self.damage(key, thorough=thorough):
                on_damage(f"{damage}; it stays there, since {self.root} is not writable")
            return
        with files.lock(self._lock(key), timeout=0) as held:
            # another process may have made it again meanwhile
            if held and self.holds(key) and (damage := self.damage(key, thorough=thorough)):
                on_damage(f"{damage}; moved to {self._set_aside(key)}, and will be made again")

    def _set_aside(self, key: str) -> Path:
        aside = self.root / "damaged" / f"{key}-{time.time_ns()}"
        aside.parent.mkdir(exist_ok=True)
        (self._done / key).rename(aside)
        return aside

    def folder(self, key: str) -> Path:
        """Where a key's artifact is, if there is one."""
        return self._done / key

    def holds(self, key: str) -> bool:
        """Whether there is an artifact for a key, damaged or not."""
        return (self._done / key).exists()

    def resumable(self, key: str) -> bool:
        """Whether an interrupted attempt left files to resume from."""
        scratch = self._work / key / "scratch"
        return scratch.is_dir() and any(scratch.iterdir())

    @contextmanager
    def lock(self, key: str, on_wait: Callable[[], None]) -> Iterator[None]:
        """Hold the lock of a key; `on_wait` is called once if another process holds it."""
        with files.lock(self._lock(key), timeout=0) as held:
            if held:
                yield
                return
        on_wait()
        with files.lock(self._lock(key)):
            yield

    def start(self, key: str) -> WorkDir:
        """An empty `out` and the `scratch` as the last attempt left it. Call under the lock."""
        workdir = WorkDir(self._work / key / "out", self._work / key / "scratch")
        shutil.rmtree(workdir.out, ignore_errors=True)
        workdir.out.mkdir(parents=True)
        workdir.scratch.mkdir(exist_ok=True)
        return workdir

    def finish(
        self,
        key: str,
        workdir: WorkDir,
        cache_key_inputs: Mapping[str, Any],
        maker: str,
        record: Mapping[str, Any],
    ) -> tuple[Path, str]:
        """Seal `out` and move it to `done`; returns folder and digest. Call under the lock."""
        kept = workdir.out / RECORD
        kept.mkdir(exist_ok=True)
        (kept / "run.json").write_text(json.dumps(record, indent=1))
        if workdir.metrics.exists():
            (kept / "metrics.jsonl").write_text(_latest_by_step(workdir.metrics))
        digest = seal(workdir.out, cache_key_inputs, maker)
        target = self._done / key
        files.publish(workdir.out, target)
        shutil.rmtree(workdir.out.parent, ignore_errors=True)
        return target, digest

    def is_shared(self, key: str, warn: Callable[[str], None]) -> bool:
        """Whether the shared store has a key's artifact."""
        return self._with_shared("looked up in", lambda shared: shared.holds(key), warn) or False

    def share(self, key: str, warn: Callable[[str], None]) -> int:
        """Copy a key's artifact to the shared store; returns the bytes that were sent."""
        return self._with_shared("copied to", lambda shared: shared.push(self._done / key), warn) or 0

    def _pull(self, key: str, warn: Callable[[str], None]) -> bool:
        """Copy a key's artifact from the shared store; False if it is not there. Call under the lock."""
        incoming = self.root / "incoming" / key
        shutil.rmtree(incoming, ignore_errors=True)
        found = self._with_shared("copied from", lambda shared: shared.pull(key, incoming), warn) or False
        if found:
            files.publish(incoming, self._done / key)
        shutil.rmtree(incoming, ignore_errors=True)
        return found

    def _with_shared(
        self, what: str, action: Callable[[SharedStore], T], warn: Callable[[str], None]
    ) -> T | None:
        """Do something with the shared store. None if there is none, or if it fails, which is only a warning."""
        try:
            return None if self.shared is None else action(self.shared)
        except Exception as reason:  # the clients of buckets raise errors of many classes
            warn(f"not {what} the shared store: {reason}")
            return None

    def discard(self, workdir: WorkDir) -> None:
        """Delete an unfinished attempt with its checkpoints. Call under the lock."""
        shutil.rmtree(workdir.out.parent)

    def forget(self, key: str, run: str = "") -> bool:
        """Remove a key's artifact; False if another run than `run` uses it. Call under the lock.

        An unfinished attempt without an artifact is kept, to be resumed.
        """
        if not self.holds(key):
            return True
        trash = self._to_trash(self._done / key, run)
        if trash is None:
            return False
        shutil.rmtree(self._work / key, ignore_errors=True)
        _delete(trash)
        return True

    def memo(self, kind: str) -> Path:
        """The persistent cache folder of a kind of stage (`StageContext.memo`)."""
        return self.root / "memo" / kind

    def forget_memos(self, before: float, *, dry_run: bool = False) -> int:
        """Remove files of the stages' cache folders that no run has used since `before` (Unix time); the bytes
        freed."""
        freed = 0
        for file in (self.root / "memo").rglob("*"):
            with suppress(OSError):  # another process removes it too
                about = file.stat()
                if file.is_file() and about.st_mtime < before:
                    if not dry_run:
                        file.unlink()
                    freed += about.st_size
        return freed

    def finished(self) -> list[Path]:
        """Every folder in `done`, damaged or not."""
        return sorted(self._done.glob("*"))

    def unfinished(self) -> list[Path]:
        """Folders of interrupted attempts and of stages in progress."""
        return sorted(self._work.glob("*"))

    def damaged(self) -> list[Path]:
        """Artifacts that were set aside."""
        return sorted((self.root / "damaged").glob("*"))

    def remove(self, folder: Path) -> int | None:
        """Remove one of these folders; the bytes freed, or None if a process holds the lock of its key or a running
        pipeline uses it."""
        with files.lock(self._lock(folder.name.partition("-")[0]), timeout=0) as held:
            trash = self._to_trash(folder) if held else None
            if trash is None:
                return None
            freed = size(trash)
            _delete(trash)
            return freed

    def _to_trash(self, folder: Path, run: str = "") -> Path | None:
        """Move a folder out of the store by one rename; None if a run other than `run` uses it."""
        trash = self.root / "trash" / f"{folder.name}-{time.time_ns()}"
        trash.parent.mkdir(exist_ok=True)
        with self.live.guard():
            if folder.parent == self._done and folder.name in self.live.in_use(except_run=run):
                return None
            folder.rename(trash)
        return trash

    def entries(self) -> Iterator[tuple[Path, Manifest]]:
        """Every finished folder with its manifest; damaged ones are skipped."""
        for folder in self.finished():
            try:
                yield folder, read_manifest(folder)
            except CorruptArtifact:
                continue

    def _lock(self, key: str) -> Path:
        return self._locks / f"{key}.lock"


def _delete(place: Path) -> None:
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink()


def size(folder: Path) -> int:
    """Bytes of the files in a folder."""
    if folder.is_file():
        return folder.stat().st_size
    return sum(about.st_size for about in files.file_stats(folder))


def _latest_by_step(file: Path) -> str:
    """Metrics in order of step, merged per step; the last value of each name wins.

    A stage that resumes from a checkpoint logs the steps after it again.
    """
    merged: dict[int | None, dict[str, Any]] = {}
    for entry in read_metrics(file):
        merged.setdefault(entry["step"], {}).update(entry)
    ordered = sorted(merged.values(), key=lambda entry: (entry["step"] is None, entry["step"] or 0))
    return "".join(json.dumps(entry) + "\n" for entry in ordered)
