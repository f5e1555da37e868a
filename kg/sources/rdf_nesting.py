"""Nesting depth of statements about statements (RDF-star). pyoxigraph frees nested terms recursively, and a stack
overflow would kill the process."""

from __future__ import annotations

import re

DEEPEST = 100
"""Maximum nesting depth; in practice it is one."""
_OPAQUE = re.compile(
    rb'"""(?:[^"\\]|\\.|"(?!""))*"""'
    rb"|'''(?:[^'\\]|\\.|'(?!''))*'''"
    rb'|"(?!"")(?:[^"\\\n]|\\.)*"'
    rb"|'(?!'')(?:[^'\\\n]|\\.)*'"
    rb'|(?P<unfinished>"""|\'\'\').*\Z'
    rb"|<[^<>\"{}|^`\\\s]*>|#[^\n]*",
    re.DOTALL,
)
"""Literals, IRIs and comments, in which brackets are not syntax (Turtle 1.2, section 6.5)."""
_LONG = re.compile(rb'"""|\'\'\'')
_BRACKET = re.compile(rb"<<|>>")
_CARRIED = 1 << 24
"""Maximum number of bytes of an unfinished literal; pyoxigraph's own limit."""


class Nesting:
    """Measures the nesting depth of a text that is read in blocks."""

    def __init__(self) -> None:
        self._begun, self._depth = b"", 0

    def most(self, block: bytes) -> int:
        """The maximum depth in the next block of complete lines."""
        if not self._begun and not self._depth and b"<<" not in block and _LONG.search(block) is None:
            return 0
        text, self._begun = self._begun + block, b""
        greatest = self._depth
        for bracket in _BRACKET.findall(_OPAQUE.sub(self._keep, text)):
            self._depth = max(self._depth + (1 if bracket == b"<<" else -1), 0)
            greatest = max(greatest, self._depth)
        return greatest

    def _keep(self, opaque: re.Match[bytes]) -> bytes:
        """Remove a literal, an IRI or a comment. An unfinished one is kept for the next block."""
        if opaque["unfinished"] and len(opaque[0]) <= _CARRIED:  # the parser gives up there too
            self._begun = opaque[0]
        return b" "
