"""The text of an RDF file as a stream for the parser, which can resume after a syntax error."""

from __future__ import annotations

import re
from collections import deque
from pathlib import Path

from kg.problems import Problems
from kg.sources.rdf_nesting import DEEPEST, Nesting
from kg.sources.reading import Tick, explain, read_blocks
from kg.sources.xml_bounds import XmlBounds

_BLOCK = 1 << 20
_FEW = 200
"""Bytes, up to the end of the line, that are passed on at a time if the parser does not report line numbers, or may be
stopped soon."""
_LONGEST = 1 << 24
"""pyoxigraph's limit on the bytes of an unfinished statement."""
_FREE, _TIMES = 1 << 28, 20
"""Maximum number of bytes read again after syntax errors: a constant, or a multiple of the bytes read once, whichever
is greater."""
_BEGINNING = re.compile(rb"<|\[|\(|\{|@\w|_:|[^\W\d][\w.-]*:|:|(?:PREFIX|BASE|GRAPH)\b", re.IGNORECASE)
"""The start of a line on which a statement may begin."""
_END = re.compile(rb"[.}]\s*(?:#[^\n]*)?$")
"""The end of a line after which a statement may begin."""


class RdfText:
    """A file for a parser, always valid UTF-8. `line`: the line at which reading continues.

    Invalid bytes, at which the parser would stop, are replaced by the replacement character; each such line is reported
    as a problem.
    """

    def __init__(
        self, file: Path, problems: Problems, tick: Tick, xml: XmlBounds | None, nesting: Nesting | None
    ) -> None:
        self._file, self._problems, self._xml, self._nesting = file, problems, xml, nesting
        self._blocks = read_blocks(file, problems, tick, _BLOCK)
        self._block, self._place = b"", 0
        self._declared, self._again, self._again_at = b"", b"", 0
        """Bytes to be passed on before the next bytes of the file: once, and from a position on."""
        self._recent: deque[tuple[int, bytes]] = deque()
        """The blocks of the last `_LONGEST` bytes, each with its first line number."""
        self._held, self._given, self._repeated = 0, 0, 0
        self._ended, self._resumed = False, False
        self.line = 1

    def declare(self, text: bytes) -> None:
        """Insert a text before the next line of the file; it does not count as a line."""
        self._declared = text

    def read(self, most: int) -> bytes:
        """The next bytes; empty at the end."""
        if self._declared:
            declared, self._declared = self._declared[:most], self._declared[most:]
            return declared
        piece = self._next(most)
        self._recent.append((self.line, piece))
        self._held += len(piece)
        while self._held - len(self._recent[0][1]) >= _LONGEST:
            self._held -= len(self._recent.popleft()[1])
        self._given += len(piece)
        self.line += piece.count(b"\n")
        if piece:
            self._ended = piece.endswith(b"\n")
        return piece

    def resume(self, line: int, *, begins: bool = False) -> int | None:
        """Continue where a statement seems to begin, at `line` or after it. Returns the line, or None if there is none
        or too much would be read again. `begins`: a statement may begin at `line` although none ended before it."""
        late = [(begin, piece) for begin, piece in self._recent if begin + piece.count(b"\n") >= line]
        size = sum(len(piece) for _, piece in late)
        text, at, number, before = self._again, self._again_at - size, late[0][0] if late else self.line, b"."
        if at < 0:
            text, at = b"".join(piece for _, piece in late) + text[self._again_at :], 0
        self._repeated += size
        self._recent.clear()
        self._held, self._again, self._again_at, self._resumed = 0, b"", 0, True
        if self._repeated > max(_FREE, _TIMES * self._given):
            return None
        while True:
            end = text.find(b"\n", at) + 1
            if not end:
                more = self._next(_BLOCK)
                if not more and at == len(text):
                    return None
                text, at = text[at:] + (more or b"\n"), 0
                continue
            this = text[at:end].strip()
            may = _END.search(before) or (begins and number == line)
            if number >= line and may and _BEGINNING.match(text, at):
                self._again, self._again_at, self.line = text, at, number
                return number
            before = this or before
            number, at = number + 1, end

    @property
    def last_line(self) -> int:
        """The last line read, possibly in part."""
        return self.line - self._ended

    @property
    def earlier_line(self) -> int:
        """The line about `_LONGEST` bytes before the current position."""
        return self._recent[0][0]

    def _next(self, most: int) -> bytes:
        """The next bytes of the file; empty at the end."""
        if self._again_at < len(self._again):
            at = self._again_at
            end = min(at + most, self._again.find(b"\n", at + _FEW) + 1 or at + most)
            self._again_at = min(end, len(self._again))
            return self._again[at:end]
        if self._place == len(self._block):
            first, block = next(self._blocks, (0, b""))
            if self._xml is not None:
                self._xml.check(first, block)
            if self._nesting is not None and self._nesting.most(block) > DEEPEST:
                raise ValueError(
                    f"{self._file}:{first}: from this line on, statements about statements are nested more than "
                    f"{DEEPEST} deep: refused"
                )
            self._block, self._place = self._repair(first, block), 0
        end = self._place + most
        # XML errors have no position; the text is read in small steps, so that `line` is close to it.
        if self._xml is not None or self._resumed:
            end = min(end, self._block.find(b"\n", self._place + _FEW) + 1 or end)
        piece = self._block[self._place : end]
        self._place += len(piece)
        return piece

    def _repair(self, first: int, block: bytes) -> bytes:
        try:
            block.decode()
        except UnicodeDecodeError:
            return b"\n".join(
                self._repair_line(first + at, line) for at, line in enumerate(block.split(b"\n"))
            )
        return block

    def _repair_line(self, number: int, line: bytes) -> bytes:
        try:
            line.decode()
        except UnicodeDecodeError as error:
            self._problems.add(self._file, number, f"{explain(error)}, read as \N{REPLACEMENT CHARACTER}")
            return line.decode(errors="replace").encode()
        return line
