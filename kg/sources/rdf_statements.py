"""Statements of RDF files, parsed by pyoxigraph. Invalid statements are reported with their line; docs/graph.md
describes what they cost."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

from kg.problems import Problems
from kg.sources.rdf_nesting import DEEPEST, Nesting
from kg.sources.rdf_text import RdfText
from kg.sources.reading import PACKINGS, Tick, explain, read_blocks
from kg.sources.sniffing import beginning
from kg.sources.xml_bounds import XmlBounds

FORMATS = {
    ".nt": "N_TRIPLES", ".nq": "N_QUADS", ".ttl": "TURTLE", ".turtle": "TURTLE", ".trig": "TRIG", ".n3": "N3",
    ".rdf": "RDF_XML", ".owl": "RDF_XML", ".jsonld": "JSON_LD",
}  # fmt: skip

_BY_LINE = {"N_TRIPLES", "N_QUADS"}
_BLOCK = 1 << 20
_DOT_MISSING = "A dot is expected"
_HINTS = {
    "No LoadDocumentCallback has been set to load remote contexts": ": its @context lies "
    "elsewhere and is not fetched; copy it into the file",
}
_COMMENTS = rb"(?:\s|#[^\r\n]*+)*+"
"""Possessive quantifiers, so that long runs of comments are matched in linear time, without backtracking."""
_TURTLE = re.compile(_COMMENTS + rb"(?:@prefix|@base|PREFIX|BASE)\s", re.IGNORECASE)
_OTHER_OWL = {
    rb"^" + _COMMENTS + rb"(Prefix\(|Ontology\()": "OWL in functional syntax",
    rb"<Ontology\s[^>]*http://www\.w3\.org/2002/07/owl#": "OWL/XML",
    rb"^" + _COMMENTS + rb"(Prefix:|Ontology:)": "OWL in Manchester syntax",
}
_PLACE = re.compile(r"^Parser error .*?: ")
"""Prefix of pyoxigraph's messages that gives the position of an error."""

Statement = tuple[Any, Any, Any]
"""Subject, predicate and object, as terms of pyoxigraph."""


def parse_statements(file: Path, problems: Problems, tick: Tick) -> Iterator[Statement]:
    """Yield the statements of a file, whose format is known by its extension. Parsing continues after an invalid
    statement, if possible."""
    from pyoxigraph import RdfFormat

    suffixes = [suffix.lower() for suffix in file.suffixes if suffix.lower() in FORMATS]
    if not suffixes:
        raise ValueError(
            f"{file}: no RDF format has this extension; expected one of {' '.join(FORMATS)} "
            f"(or these with {' '.join(PACKINGS)})"
        )
    name = _by_content(file, FORMATS[suffixes[-1]])
    read = _parse_lines if name in _BY_LINE else _parse_whole
    return read(file, getattr(RdfFormat, name), problems, tick)


def _by_content(file: Path, name: str) -> str:
    """The format of an ontology whose extension does not identify it. Raises ValueError for unsupported formats."""
    if name != "RDF_XML":
        return name
    start = beginning(file)
    if _TURTLE.match(start):
        return "TURTLE"
    for pattern, what in _OTHER_OWL.items():
        if re.search(pattern, start):
            raise ValueError(
                f"{file}: {what}, which is not read: save it as RDF/XML or Turtle (Protégé: Save as; robot convert)"
            )
    return name


def _parse_lines(file: Path, format: Any, problems: Problems, tick: Tick) -> Iterator[Statement]:
    """Parse N-Triples and N-Quads; an invalid line is skipped alone.

    A block is parsed at once. After an error, the parser would skip all lines up to what looks like the end of a
    statement; therefore the rest of the block is parsed line by line.
    """
    from pyoxigraph import parse

    for first, block in read_blocks(file, problems, tick, _BLOCK):
        if b"<<" in block:
            block = _without_deep_lines(file, first, block, problems)
        parsed = 0  # statements to be skipped when the block is parsed again
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
    """The block, with lines replaced by blank lines if their statements about statements are nested too deeply, because
    pyoxigraph would overflow the stack and kill the process."""
    lines = block.split(b"\n")
    for place, line in enumerate(lines):
        if Nesting().most(line) > DEEPEST:
            problems.add(file, first + place, f"statements about statements, nested more than {DEEPEST} deep")
            lines[place] = b""
    return b"\n".join(lines)


def _parse_whole(file: Path, format: Any, problems: Problems, tick: Tick) -> Iterator[Statement]:
    """Parse Turtle, TriG, N3, RDF/XML and JSON-LD, in which a statement may span several lines. Raises ValueError as
    `XmlBounds`, and for statements about statements that are nested too deeply."""
    from pyoxigraph import RdfFormat

    is_xml, by_lines = format == RdfFormat.RDF_XML, format not in (RdfFormat.RDF_XML, RdfFormat.JSON_LD)
    text = RdfText(file, problems, tick, XmlBounds(file) if is_xml else None, Nesting() if by_lines else None)
    parser, before = _parser(text, format), 0
    """`before`: number of lines of the file before the first line of this parser."""
    while True:
        try:
            subject, predicate, object, *graph = next(parser)
        except StopIteration:
            return
        except SyntaxError as error:
            message, line = _explain(error), before + (error.lineno or 0)
            if not by_lines:
                place = text.last_line if is_xml else line
                problems.add(
                    file,
                    place,
                    message + (" (here or shortly before)" if is_xml else _HINTS.get(message, "")),
                )
                if is_xml:
                    continue
                return
            without_dot = message.startswith(_DOT_MISSING)
            next_line = text.resume(line if without_dot else line + 1, begins=without_dot)
            end = message == "Unexpected end of file"
            message = "the statement that begins here has no end" if end else message
            if next_line is None:
                problems.add(file, line, f"{message}: not read from here on")
                return
            up_to = f" up to line {next_line - 1}" if next_line > line + 1 else ""
            problems.add(file, line, f"{message}; left out{up_to}")
            parser, before = _parser(text, format, parser.prefixes, parser.base_iri), next_line - 1
            continue
        except MemoryError as error:
            if "buffer" not in str(error):
                raise
            problems.add(
                file,
                text.earlier_line,
                "the statement that begins about here has no end within 16 MB: not read",
            )
            return
        if format == RdfFormat.N3 and graph and type(graph[0]).__name__ != "DefaultGraph":
            continue  # inside a formula, which asserts nothing
        yield subject, predicate, object


def _parser(
    text: RdfText, format: Any, prefixes: Mapping[str, str] | None = None, base: str | None = None
) -> Any:
    """A parser of the rest of a text, with the prefixes declared before."""
    from pyoxigraph import parse

    text.declare("".join(f"@prefix {name}: <{iri}> . " for name, iri in (prefixes or {}).items()).encode())
    # Relative IRIs need a base; this one indicates that the file gives none.
    return parse(cast("IO[bytes]", text), format, base_iri=base or "file:///")


def _explain(error: SyntaxError, line: bytes = b"") -> str:
    """The parser's message without its position; `line`: where the error was found."""
    try:
        line.decode()
    except UnicodeDecodeError as fault:
        return explain(fault)
    return _PLACE.sub("", error.msg)
