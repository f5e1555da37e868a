"""The files of a folder that are opened, by any library, as reported by the kernel (inotify, Linux)."""

from __future__ import annotations

import ctypes
import os
import select
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_OPEN, _IS_FOLDER = 0x20, 0x40000000
_EVENT = struct.Struct("iIII")


@contextmanager
def opened_files(root: Path) -> Iterator[set[str]]:
    """Paths in `root` of the files that are opened during the block; complete when it ends."""
    libc = ctypes.CDLL(None, use_errno=True)
    handle = libc.inotify_init1(os.O_NONBLOCK)
    folders = {}
    for folder in (root, *(path for path in root.rglob("*") if path.is_dir())):
        folders[libc.inotify_add_watch(handle, os.fsencode(folder), _OPEN)] = folder
    assert handle >= 0
    assert -1 not in folders
    opened: set[str] = set()
    try:
        yield opened
        while select.select([handle], [], [], 0)[0]:
            events = os.read(handle, 1 << 20)
            while events:
                watch, mask, _, length = _EVENT.unpack_from(events)
                name = events[_EVENT.size : _EVENT.size + length].rstrip(b"\0").decode()
                if name and not mask & _IS_FOLDER:
                    opened.add((folders[watch] / name).relative_to(root).as_posix())
                events = events[_EVENT.size + length :]
    finally:
        os.close(handle)
