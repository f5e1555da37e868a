"""Statements of RDF files by pyoxigraph, the bad ones told with their place; what they cost is in docs/graph.md."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from kg.problems import Problems
from kg.sources.rdf_nesting import DEEPEST, Nesting
from kg.sources.reading import Tick, explain, read_blocks
from kg.sources.xml_bounds import XmlBounds

FORMATS = {
    ".nt": "N_TRIPLES", ".nq": "N_QUADS", ".ttl": "TURTLE", ".trig": "TRIG", ".rdf": "RDF_XML", ".owl": "RDF_XML",
}  # fmt: skip

_BY_LINE = {"N_TRIPLES", "N_QUADS"}
_BLOCK = 1 << 20
_FEW = 200
"""Bytes of XML handed on at once, and the rest of the line."""
_LONGEST = 1 << 24
"""Bytes that pyoxigraph holds of what has not ended yet."""
_PLACE = re.compile(r"^Parser error .*?: ")
"""Where an error is, in pyoxigraph's words."""

Statement = tuple[Any, Any, Any]
"""Subject, predicate and object, as terms of pyoxigraph."""


def parse_statements(file: Path, problems: Problems, tick: Tick) -> Iterator[Statement]:
    """The statements of a file, by the ending of its name. After a bad one reading goes on at the next, if it can."""
    from pyoxigraph import RdfFormat

    suffixes = [suffix.lower() for suffix in file.suffixes if suffix.lower() in FORMATS]
    if not suffixes:
        raise ValueError(
            f"{file}: no RDF format has this ending; expected one of {' '.join(FORMATS)} (or with .gz, .bz2)"
        )
    name = FORMATS[suffixes[-1]]
    read = _parse_lines if name in _BY_LINE else _parse_whole
    return read(file, getattr(RdfFormat, name), problems, tick)


def _parse_lines(file: Path, format: Any, problems: Problems, tick: Tick) -> Iterator[Statement]:
    """N-Triples and N-Quads: a bad line costs itself alone.

    A block is parsed at once; left to itself after an error, the parser would skip the lines up to the next that it
    takes for an end. So from there on the block is parsed line by line.
    """
    from pyoxigraph import parse

    for first, block in read_blocks(file, problems, tick, _BLOCK):
        if b"<<" in block:
            block = _without_deep_lines(file, first, block, problems)
        parsed = 0  # statements that are passed over where the block is parsed again
        try:
            for subject, predicate, object, *_ in parse(block, format):
                yield subject, predicate, object
                parsed += 1
        except SyntaxError:
            for number, line in enumerate(block.split(b"\n"), first):
                try:
                    for subject, predicate, object, *_ in parse(line, format):
                        if parsed <= 0:
                            yield subject, predicate, object
                        parsed -= 1
                except SyntaxError as error:
                    problems.add(file, number, _explain(error, line))


def _without_deep_lines(file: Path, first: int, block: bytes, problems: Problems) -> bytes:
    """The block with a blank line for each in which statements about statements are nested too deeply: pyoxigraph
    would run out of stack, and end the process."""
    lines = block.split(b"\n")
    for place, line in enumerate(lines):
        if Nesting().most(line) > DEEPEST:
            problems.add(file, first + place, f"statements about statements, nested more than {DEEPEST} deep")
            lines[place] = b""
    return b"\n".join(lines)


def _parse_whole(file: Path, format: Any, problems: Problems, tick: Tick) -> Iterator[Statement]:
    """Turtle, TriG and RDF/XML, where a statement may take many lines. Raises ValueError as `XmlBounds`, and for
    statements about statements that are nested too deeply."""
    from pyoxigraph import RdfFormat, parse

    is_xml = format == RdfFormat.RDF_XML
    text = _Text(file, problems, tick, XmlBounds(file) if is_xml else None, None if is_xml else Nesting())
    # Relative IRIs need some base; this one says that the file gave none.
    statements = parse(cast("IO[bytes]", text), format, base_iri="file:///")
    while True:
        try:
            subject, predicate, object, *_ = next(statements)
        except StopIteration:
            return
        except SyntaxError as error:
            message = _explain(error)
            if format == RdfFormat.RDF_XML:
                problems.add(file, text.last_line, f"{message} (here or shortly before)")
            elif message == "Unexpected end of file":
                problems.add(file, error.lineno or 0, "what begins here has no end: not read from here on")
            else:
                problems.add(file, error.lineno or 0, f"{message}; left out up to {_full_stop(error)}")
            continue
        except MemoryError as error:
            if "buffer" not in str(error):
                raise
            problems.add(file, text.earlier_line, "what begins about here has no end within 16 MB: not read")
            return
        yield subject, predicate, object


def _full_stop(error: SyntaxError) -> str:
    """Where reading goes on after what is wrong: an IRI without its end takes in all lines up to the next ">"."""
    end = (error.end_lineno or 0) - (error.end_offset == 1)
    return "the next full stop" + (f" after line {end}" if end > (error.lineno or 0) else "")


def _explain(error: SyntaxError, line: bytes = b"") -> str:
    """What the parser found, without its own way of saying where; `line` is the one it was found in."""
    try:
        line.decode()
    except UnicodeDecodeError as fault:
        return explain(fault)
    return _PLACE.sub("", error.msg)


class _Text:
    """A file for a parser that reads on: UTF-8, whatever stands in it; `line`: the one at which reading goes on.

    Bytes that are no UTF-8, at which the parser would end, become the replacement character, each line a problem.
    """

    def __init__(
        self, file: Path, problems: Problems, tick: Tick, xml: XmlBounds | None, nesting: Nesting | None
    ) -> None:
        self._file, self._problems, self._xml, self._nesting = file, problems, xml, nesting
        self._blocks = read_blocks(file, problems, tick, _BLOCK)
        self._block, self._place = b"", 0
        self._recent: deque[tuple[int, int]] = deque()
        """Where the pieces of the last `_LONGEST` bytes begin: byte and line."""
        self._given, self._ended = 0, False
        self.line = 1

    def read(self, most: int) -> bytes:
        """The next bytes; none at the end."""
        if self._place == len(self._block):
            first, block = next(self._blocks, (0, b""))
            if self._xml is not None:
                self._xml.check(first, block)
            if self._nesting is not None and self._nesting.most(block) > DEEPEST:
                raise ValueError(
                    f"{self._file}:{first}: in the lines from here on statements about statements are nested more than "
                    f"{DEEPEST} deep: refused"
                )
            self._block, self._place = self._repair(first, block), 0
        end = self._place + most
        # The errors of XML do not say where; read by a few lines, so that `line` does.
        if self._xml is not None:
            end = min(end, self._block.find(b"\n", self._place + _FEW) + 1 or end)
        piece = self._block[self._place : end]
        self._recent.append((self._given, self.line))
        self._place += len(piece)
        self._given += len(piece)
        while self._recent[0][0] < self._given - _LONGEST:
            self._recent.popleft()
        self.line += piece.count(b"\n")
        if piece:
            self._ended = piece.endswith(b"\n")
        return piece

    @property
    def last_line(self) -> int:
        """The last line that was read, if only in part."""
        return self.line - self._ended

    @property
    def earlier_line(self) -> int:
        """The line about `_LONGEST` bytes before the place up to which the file was read."""
        return self._recent[0][1]

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
