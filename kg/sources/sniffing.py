"""Recognition of formats by the first bytes of a file, if its name does not identify them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from kg.sources.reading import DAMAGE, open_bytes

_LOOKED_AT = 1 << 14
"""Number of bytes that are read."""


def beginning(file: Path) -> bytes:
    """The first bytes of a file, decompressed; empty if it cannot be read."""
    try:
        with open_bytes(file, lambda _: None) as stream:
            return stream.read(_LOOKED_AT).removeprefix(b"\xef\xbb\xbf")
    except (*DAMAGE, ValueError):
        return b""


def has_text(pattern: bytes) -> Callable[[Path], bool]:
    """A predicate: whether a regular expression matches near the beginning of a file."""
    compiled = re.compile(pattern)
    return lambda path: path.is_file() and compiled.search(beginning(path)) is not None


def has_files(*patterns: str) -> Callable[[Path], bool]:
    """A predicate: whether a folder holds a file for each of the patterns."""
    return lambda path: path.is_dir() and all(any(path.glob(pattern)) for pattern in patterns)
