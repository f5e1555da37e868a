"""Limits on XML that would exhaust memory or time: the expansion of entities, and the nesting depth of elements.

An entity may be declared in terms of others, so that a page of declarations expands to gigabytes ("billion laughs").
expat limits this, but pyoxigraph does not. Nor does pyoxigraph limit the nesting depth, in which its running time is
quadratic.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

DEEPEST = 2000
"""Maximum nesting depth of elements; RDF/XML in practice has about a dozen levels."""
LONGEST = 1 << 16
"""Maximum size in bytes of an expanded entity; those of ontologies are prefixes of IRIs."""
_FREE, _TIMES = 1 << 26, 100
"""Maximum size of the expanded references in a block: a number of bytes, or a multiple of the block's length, whichever
is greater."""
_START = b"<!ENTITY"
_DECLARATION = re.compile(rb"""<!ENTITY[^<"']*(?:"([^<"]*)"|'([^<']*)')""")


class XmlBounds:
    """Upper bounds on the expansion of a file's entities and the depth of its elements, updated while the file is
    read."""

    def __init__(self, file: Path) -> None:
        self._file, self._largest, self._unfinished, self._depth = file, 0, b"", 0

    def check(self, first: int, block: bytes) -> None:
        """Check the next block of the file, whose first line is number `first`. Raises ValueError, with the line."""
        self._descend(first, block)
        if self._unfinished or _START in block:
            self._declare(first - self._unfinished.count(b"\n"), self._unfinished + block)
        stands_for = block.count(b"&") * self._largest
        if stands_for > max(_FREE, _TIMES * len(block)):
            last = first + block.count(b"\n")
            raise ValueError(
                f"{self._file}:{first}: the entities in lines {first} to {last} stand for up to {stands_for:,} "
                "bytes: refused, as they may be meant to fill the memory"
            )

    def _descend(self, first: int, block: bytes) -> None:
        """Count the start and end tags of elements, including those in comments."""
        after, at = np.frombuffer(block[1:] + b" ", np.uint8), np.frombuffer(block, np.uint8)
        tag, other = at == ord("<"), (after == ord("!")) | (after == ord("?"))
        ends = (tag & (after == ord("/"))) | ((at == ord("/")) & (after == ord(">")))
        depth = self._depth + np.cumsum((tag & ~other & ~ends).astype(np.int64) - ends)
        if len(depth) and depth.max() > DEEPEST:
            line = first + block.count(b"\n", 0, int((depth > DEEPEST).argmax()))
            raise ValueError(f"{self._file}:{line}: elements nested more than {DEEPEST:,} deep: refused")
        self._depth = max(int(depth[-1]), 0) if len(depth) else self._depth

    def _declare(self, first: int, text: bytes) -> None:
        for found in _DECLARATION.finditer(text):
            value = found[1] or found[2] or b""
            # Bounded by the largest entity so far, whatever it refers to, so that names need not be resolved as the
            # parser does.
            size = len(value) + value.count(b"&") * self._largest
            if size > LONGEST:
                line = first + text.count(b"\n", 0, found.start())
                raise ValueError(
                    f"{self._file}:{line}: this entity expands to up to {size:,} bytes, more than {LONGEST:,}: "
                    "refused, since it may fill the memory"
                )
            self._largest = max(self._largest, size)
        begun = text.rfind(_START)
        unfinished = b"<" not in text[begun + 1 :] and not _DECLARATION.match(text, begun)
        self._unfinished = text[begun:] if unfinished else b""
