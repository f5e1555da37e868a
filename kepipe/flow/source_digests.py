"""Digests of the user's files, which are outside the store and may change at any moment, even while they are read."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from contextvars import ContextVar
from pathlib import Path

from kepipe.flow.artifact import hash_file
from kepipe.recording import recording

SETTLED = 2_000_000_000
"""Nanoseconds after a file's last change, after which a further change certainly alters its timestamps (which have a
limited resolution)."""

_State = tuple[int, int, int, int, int]
_digests: dict[Path, tuple[_State, str]] = {}
_asked: ContextVar[dict[Path, None] | None] = ContextVar("asked", default=None)


def recording_sources() -> AbstractContextManager[dict[Path, None]]:
    """Collect the files whose digests are requested in the context, in order."""
    return recording(_asked)


def digest_source(file: Path) -> str:
    """SHA-256 of a file's bytes, in hex.

    Cached in this process by inode, size, mtime and ctime (which programs cannot set), since it is called before a
    stage reads a file and again afterwards.
    """
    place, state = file.absolute(), _state(file)
    if (asked := _asked.get()) is not None:
        asked[place] = None
    known = _digests.get(place)
    if known is not None and known[0] == state:
        return known[1]
    digest = hash_file(file)
    if state == _state(file) and time.time_ns() - max(state[3:]) > SETTLED:
        _digests[place] = state, digest
    return digest


def _state(file: Path) -> _State:
    stat = file.stat()
    return stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns
