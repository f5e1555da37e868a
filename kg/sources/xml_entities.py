"""Entities that an XML file declares for itself: refused where they stand for so much that they fill the memory.

Each may be made of others, so that a page of declarations stands for gigabytes ("billion laughs"), and expat limits
this, but pyoxigraph does not.
"""

from __future__ import annotations

import re
from pathlib import Path

LONGEST = 1 << 16
"""Bytes that one entity may stand for; those of ontologies are beginnings of IRIs."""
_FREE, _TIMES = 1 << 26, 100
"""Bytes that the references of a stretch may stand for, and how many times its own length, whichever is more."""
_START = b"<!ENTITY"
_DECLARATION = re.compile(rb"""<!ENTITY[^<"']*(?:"([^<"]*)"|'([^<']*)')""")


class Expansion:
    """What the entities of a file stand for, at most, told while the file is read."""

    def __init__(self, file: Path) -> None:
        self._file, self._largest, self._unfinished = file, 0, b""

    def check(self, first: int, block: bytes) -> None:
        """Take the next stretch of the file, of which `first` is the first line. Raises ValueError, with the line."""
        if self._unfinished or _START in block:
            self._declare(first - self._unfinished.count(b"\n"), self._unfinished + block)
        stands_for = block.count(b"&") * self._largest
        if stands_for > max(_FREE, _TIMES * len(block)):
            last = first + block.count(b"\n")
            raise ValueError(
                f"{self._file}:{first}: the entities in lines {first} to {last} stand for up to {stands_for:,} "
                "bytes: refused, as they may be meant to fill the memory"
            )

    def _declare(self, first: int, text: bytes) -> None:
        for found in _DECLARATION.finditer(text):
            value = found[1] or found[2] or b""
            # Whatever it refers to is at most the largest so far: names need not be understood as the parser does.
            size = len(value) + value.count(b"&") * self._largest
            if size > LONGEST:
                line = first + text.count(b"\n", 0, found.start())
                raise ValueError(
                    f"{self._file}:{line}: this entity stands for up to {size:,} bytes, more than {LONGEST:,}: "
                    "refused, as it may be meant to fill the memory"
                )
            self._largest = max(self._largest, size)
        begun = text.rfind(_START)
        unfinished = b"<" not in text[begun + 1 :] and not _DECLARATION.match(text, begun)
        self._unfinished = text[begun:] if unfinished else b""
