"""How files begin, for those whose name does not say what they are."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from kg.sources.reading import DAMAGE, open_bytes

_LOOKED_AT = 1 << 14
"""Bytes of a file."""


def beginning(file: Path) -> bytes:
    """The first bytes of a file, unpacked; none where it cannot be read."""
    try:
        with open_bytes(file, lambda _: None) as stream:
            return stream.read(_LOOKED_AT).removeprefix(b"\xef\xbb\xbf")
    except (*DAMAGE, ValueError):
        return b""


def has_text(pattern: bytes) -> Callable[[Path], bool]:
    """Whether a file has, near its beginning, what a regular expression finds."""
    compiled = re.compile(pattern)
    return lambda path: path.is_file() and compiled.search(beginning(path)) is not None


def has_files(*patterns: str) -> Callable[[Path], bool]:
    """Whether a folder has, for each pattern, a file of such a name."""
    return lambda path: path.is_dir() and all(any(path.glob(pattern)) for pattern in patterns)
