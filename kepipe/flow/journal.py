"""The journal of a run: its events as JSON lines, on disk before anything else hears of them.

One file a run. The process that writes it holds a lock beside it, so that whoever reads can tell a run
that goes on from one that was killed. What is shown elsewhere is delivered from here.
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

from kepipe.files import lock
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
    """An event and the place in the file, in bytes, where its line ends."""

    event: Event
    end: int


class Journal:
    """A sink that appends every event to `file`; `Progressed` is for people and is not kept.

    Several threads may use it. The ends of stages and of the run are forced to the disk.
    Raises ValueError where another process writes the same file.
    """

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self.file = file
        self._held = ExitStack()
        # Before the file is there: nobody takes the run for a dead one.
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
        """Give the file up; the run is over, whether it said so or not."""
        with self._writing:
            self._stream.close()
        self._held.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def encode(event: Event) -> bytes:
    """One line of JSON. Values that JSON does not know (a path, a date) are kept as text."""
    fields = {"event": type(event).__name__, **asdict(event)}
    return (json.dumps(fields, ensure_ascii=False, default=str) + "\n").encode()


def decode(line: bytes) -> Event:
    """The event of a line. Raises ValueError for anything else than a known event with its fields."""
    fields: Any = parse_json(line)
    if not isinstance(fields, dict) or fields.get("event") not in KINDS:
        raise ValueError(f"no event: {line[:80]!r}")
    adapter, event = _ADAPTERS[fields.pop("event")], fields
    try:
        return adapter.validate_python(event)
    except ValidationError as error:
        wrong = ", ".join(".".join(map(str, each["loc"])) for each in error.errors())
        raise ValueError(f"event with other fields than expected: {wrong}") from None


def read(file: Path, start: int = 0, on_bad: Callable[[str], None] | None = None) -> Iterator[Entry]:
    """The entries after byte `start`, as far as the lines are whole.

    A last line without its end was torn by a kill, or is being written: it is left for later. A whole line
    that is no event is told to `on_bad` with its place and passed over; without `on_bad` it is a ValueError.
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
    """Whether the process that writes the journal still lives."""
    with _lock(file) as held:
        return not held


def _lock(file: Path) -> AbstractContextManager[bool]:
    return lock(file.with_suffix(".lock"), timeout=0)
