"""Keys of the artifacts that running pipelines use, which must not be removed meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from kepipe import files


class LiveRuns:
    """A folder with, for each running pipeline, a list of keys and a lock held by its process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def track(self, run: str) -> Iterator[Callable[[str], None]]:
        """Context of a run; yields a function to call with each key before it is looked up."""
        listed = self._folder / f"{run}.keys"

        def mark_in_use(key: str) -> None:
            with self.guard(), listed.open("a") as stream:
                stream.write(f"{key}\n")

        with files.lock(self._folder / f"{run}.lock"):
            try:
                yield mark_in_use
            finally:
                with self.guard():  # no reader is between listing this file and reading it
                    listed.unlink(missing_ok=True)
        (self._folder / f"{run}.lock").unlink(missing_ok=True)

    def guard(self) -> AbstractContextManager[bool]:
        """The lock to hold while marking a key as in use, or while checking that none is used and removing it."""
        return files.lock(self._folder / "guard.lock")

    def in_use(self, except_run: str = "") -> set[str]:
        """Keys that runs other than `except_run` use. Call under `guard`. Deletes lists of runs that were killed."""
        keys: set[str] = set()
        for listed in self._folder.glob("*.keys"):
            if listed.stem == except_run:
                continue
            with files.lock(listed.with_suffix(".lock"), timeout=0) as dead:
                if dead:
                    listed.unlink()
                else:
                    keys.update(listed.read_text().split())
        return keys
