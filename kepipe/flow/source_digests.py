"""Digests of the user's files, which lie outside the store and may be changed at any moment, even in mid-reading."""

from __future__ import annotations

import time
from pathlib import Path

from kepipe.flow.artifact import hash_file

SETTLED = 2_000_000_000
"""Nanoseconds after its last change from which on another change of a file shows in its times: they have a grain."""

_State = tuple[int, int, int, int, int]
_digests: dict[Path, tuple[_State, str]] = {}


def digest_source(file: Path) -> str:
    """SHA-256 of a file's bytes, in hex.

    A file that is as it was when this process digested it (by inode, size, and the times of its content and of its
    inode, the second of which no program sets) is not read again: that is asked before a stage reads and afterwards.
    """
    place, state = file.absolute(), _state(file)
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
