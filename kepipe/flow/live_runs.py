"""Which results the runs that go on read: nobody may remove them meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from kepipe import files


class LiveRuns:
    """A folder with a list of keys for each run that goes on, and a lock that its process holds."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def begin(self, run: str) -> Iterator[Callable[[str], None]]:
        """A run that goes on for the block; to call with each key before it is looked for."""
        listed = self._folder / f"{run}.keys"

        def note(key: str) -> None:
            with self.guard(), listed.open("a") as stream:
                stream.write(f"{key}\n")

        with files.lock(self._folder / f"{run}.lock"):
            try:
                yield note
            finally:
                with self.guard():  # whoever looks through the lists has read this one, or does not find it
                    listed.unlink(missing_ok=True)
        (self._folder / f"{run}.lock").unlink(missing_ok=True)

    def guard(self) -> AbstractContextManager[bool]:
        """Held while a key is noted, or while it is decided that nobody uses one and it goes."""
        return files.lock(self._folder / "guard.lock")

    def used(self, besides: str = "") -> set[str]:
        """Keys that runs use, but for those of one run. Call under `guard`. Lists of runs that were killed go."""
        keys: set[str] = set()
        for listed in self._folder.glob("*.keys"):
            if listed.stem == besides:
                continue
            with files.lock(listed.with_suffix(".lock"), timeout=0) as dead:
                if dead:
                    listed.unlink()
                else:
                    keys.update(listed.read_text().split())
        return keys
