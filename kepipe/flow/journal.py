"""The journal of a run: its events as JSON lines, written before any other sink gets them.

One file per run. The writing process holds a lock on it, so that readers can tell a run in progress
from one that was killed. Tracking delivers events from the journal.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, Self

from pydantic import TypeAdapter, ValidationError

from kepipe.files import is_locked, lock
from kepipe.flow import events
from kepipe.flow.events import Event, Progressed, RunEnded, StageEnded
from kg.regular_files import parse_json

KINDS: dict[str, type[Event]] = {
    kind.__name__: kind
    for kind in vars(events).values()
    if isinstance(kind, type) and issubclass(kind, Event)
}


_ADAPTERS: dict[str, TypeAdapter[Event]] = {name: TypeAdapter(kind) for name, kind in KINDS.items()}


class Entry(NamedTuple):
    """An event and the byte offset at which its line ends."""

    event: Event
    end: int


class Journal:
    """A sink that appends every event to `file`, except `Progressed`, which is only displayed.

    Thread-safe. The ends of stages and of the run are flushed to disk with fsync.
    Raises ValueError if another process writes the same file.
    """

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.file = file
        self._held = ExitStack()
        # Before the file exists, so that no reader takes the run for a killed one.
        if not self._held.enter_context(_lock(file)):
            raise ValueError(f"{file}: another process writes this journal")
        self._stream = file.open("ab")
        self._writing = threading.Lock()

    def __call__(self, event: Event) -> None:
        if isinstance(event, Progressed):
            return
        line = encode(event)
        with self._writing:
            self._stream.write(line)
            self._stream.flush()
            if isinstance(event, StageEnded | RunEnded):
                os.fsync(self._stream.fileno())

    def close(self) -> None:
        """Close the file and release its lock."""
        with self._writing:
            self._stream.close()
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def encode(event: Event) -> bytes:
    """One line of JSON. Values that JSON does not have (paths, dates) are stored as strings."""
    fields = {"event": type(event).__name__, **asdict(event)}
    return (json.dumps(fields, ensure_ascii=False, default=str) + "\n").encode()


def decode(line: bytes) -> Event:
    """The event of a line. Raises ValueError for an unknown event or unexpected fields."""
    fields: Any = parse_json(line)
    if not isinstance(fields, dict) or fields.get("event") not in KINDS:
        raise ValueError(f"not an event: {line[:80]!r}")
    adapter, event = _ADAPTERS[fields.pop("event")], fields
    try:
        return adapter.validate_python(event)
    except ValidationError as error:
        wrong = ", ".join(".".join(map(str, each["loc"])) for each in error.errors())
        raise ValueError(f"event with unexpected or invalid fields: {wrong}") from None


def read(file: Path, start: int = 0, on_bad: Callable[[str], None] | None = None) -> Iterator[Entry]:
    """The entries after byte `start`, up to the last complete line.

    An incomplete last line, cut off by a kill or still being written, is not read. For an invalid line `on_bad` is
    called with a message and the line is skipped; without `on_bad`, ValueError is raised.
    """
    with file.open("rb") as stream:
        stream.seek(start)
        end = start
        for line in stream:
            if not line.endswith(b"\n"):
                return
            end += len(line)
            try:
                event = decode(line)
            except ValueError as error:
                message = f"{file}: byte {end - len(line)}: {error}"
                if on_bad is None:
                    raise ValueError(message) from None
                on_bad(message)
                continue
            yield Entry(event, end)


def is_written(file: Path) -> bool:
    """Whether the process that writes the journal is still running."""
    return is_locked(file.with_suffix(".lock"))


def _lock(file: Path) -> AbstractContextManager[bool]:
    return lock(file.with_suffix(".lock"), timeout=0)
