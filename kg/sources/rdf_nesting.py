"""How deep statements about statements (RDF-star) are nested: pyoxigraph frees them by a call a level, and a process
whose stack is full is ended by the system."""

from __future__ import annotations

import re

DEEPEST = 100
"""Levels that are read; in practice there is one."""
_OPAQUE = re.compile(
    rb'"""(?:[^"\\]|\\.|"(?!""))*"""'
    rb"|'''(?:[^'\\]|\\.|'(?!''))*'''"
    rb'|"(?!"")(?:[^"\\\n]|\\.)*"'
    rb"|'(?!'')(?:[^'\\\n]|\\.)*'"
    rb'|(?P<unfinished>"""|\'\'\').*\Z'
    rb"|<[^<>\"{}|^`\\\s]*>|#[^\n]*",
    re.DOTALL,
)
"""Literals, IRIs and comments, in which brackets mean nothing (Turtle 1.2, section 6.5)."""
_LONG = re.compile(rb'"""|\'\'\'')
_BRACKET = re.compile(rb"<<|>>")
_CARRIED = 1 << 24
"""Bytes of a literal that has not ended, as many as pyoxigraph itself holds."""


class Nesting:
    """Follows a text, block after block."""

    def __init__(self) -> None:
        self._begun, self._depth = b"", 0

    def most(self, block: bytes) -> int:
        """The greatest depth in the next block of whole lines."""
        if not self._begun and not self._depth and b"<<" not in block and _LONG.search(block) is None:
            return 0
        text, self._begun = self._begun + block, b""
        greatest = self._depth
        for bracket in _BRACKET.findall(_OPAQUE.sub(self._keep, text)):
            self._depth = max(self._depth + (1 if bracket == b"<<" else -1), 0)
            greatest = max(greatest, self._depth)
        return greatest

    def _keep(self, opaque: re.Match[bytes]) -> bytes:
        """Take out a literal, an IRI or a comment; one that has not ended is kept for the next block."""
        if opaque["unfinished"] and len(opaque[0]) <= _CARRIED:  # the parser gives up there too
            self._begun = opaque[0]
        return b" "
