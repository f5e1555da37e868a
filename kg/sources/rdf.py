"""RDF: N-Triples, N-Quads, Turtle, TriG and RDF/XML, by pyoxigraph; plain, gzip or bzip2.

What an RDF file says of a resource is sorted into what a graph here is made of:

- names: rdfs:label, skos:prefLabel, schema:name, foaf:name; and, as aliases only, skos:altLabel, schema:alternateName;
- description: schema:description, dct:description, dc:description, skos:definition, rdfs:comment;
- types: rdf:type, and Wikidata's "instance of";
- triples: every other statement whose object is a resource.

Other literals and blank nodes have no place in the graph: they are counted as left out.
"""

from __future__ import annotations

import re
from array import array
from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import unquote

import numpy as np
import numpy.typing as npt

from kg.problems import Problems
from kg.schema import Entity, Relation
from kg.sources.gathered import Gathered
from kg.sources.reading import Choices, Tick, explain, rank_language, read_blocks
from kg.sources.xml_entities import Expansion
from kg.writer import GraphWriter

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

_SCHEMA = ("http://schema.org/", "https://schema.org/")
_SKOS = "http://www.w3.org/2004/02/skos/core#"
_RDFS = "http://www.w3.org/2000/01/rdf-schema#"
_LABELS = {
    f"{_RDFS}label", f"{_SKOS}prefLabel", "http://xmlns.com/foaf/0.1/name", *(f"{schema}name" for schema in _SCHEMA),
}  # fmt: skip
_ALIASES = {f"{_SKOS}altLabel", *(f"{schema}alternateName" for schema in _SCHEMA)}
_DESCRIPTIONS = {
    f"{_RDFS}comment", f"{_SKOS}definition", "http://purl.org/dc/terms/description",
    "http://purl.org/dc/elements/1.1/description", *(f"{schema}description" for schema in _SCHEMA),
}  # fmt: skip
_KINDS = dict.fromkeys(_LABELS, "l") | dict.fromkeys(_ALIASES, "a") | dict.fromkeys(_DESCRIPTIONS, "d")
_TYPES = {
    "http://www.w3.org/1999/02/22-rdf-syntax-ns#type",
    "http://www.wikidata.org/prop/direct/P31",
}


def read_rdf(
    file: Path, writer: GraphWriter, problems: Problems, tick: Tick, choices: Choices
) -> Counter[str]:
    """Read `file` into `writer`; an entity's id is its IRI. Heeds `languages`.

    The label is the first name in the best language, or else the end of the IRI. An entity is what stands
    in a triple, or has a name or a type and is neither a relation nor a type.
    """
    content = _Content(choices.languages)
    for statement in _parse(file, problems, tick):
        content.add(*statement)
    content.write(writer)
    return content.left_out


Statement = tuple[Any, Any, Any]
"""Subject, predicate and object, as terms of pyoxigraph."""


def _parse(file: Path, problems: Problems, tick: Tick) -> Iterator[Statement]:
    """The statements of a file. After a bad one reading goes on at the next, if it can."""
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


def _parse_whole(file: Path, format: Any, problems: Problems, tick: Tick) -> Iterator[Statement]:
    """Turtle, TriG and RDF/XML, where a statement may take many lines. Raises ValueError as `Expansion`."""
    from pyoxigraph import RdfFormat, parse

    text = _Text(file, problems, tick, Expansion(file) if format == RdfFormat.RDF_XML else None)
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

    def __init__(self, file: Path, problems: Problems, tick: Tick, expansion: Expansion | None) -> None:
        self._file, self._problems, self._expansion = file, problems, expansion
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
            if self._expansion is not None:
                self._expansion.check(first, block)
            self._block, self._place = self._repair(first, block), 0
        end = self._place + most
        if (
            self._expansion is not None
        ):  # XML, whose errors do not say where: by a few lines, so that `line` does
            end = min(end, self._block.find(b"\n", self._place + _FEW) + 1 or end)
        piece = self._block[self._place : end]
        self._recent.append((self._given, self.line))
        self._place += len(piece)
        self._given += len(piece)
        while self._recent[0][0] < self._given - _LONGEST:
            self._recent.popleft()
        self.line += piece.count(b"\n")
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


class _Content:
    """The statements of a file, sorted by what they are to a graph. Resources are numbered as they are met."""

    def __init__(self, languages: tuple[str, ...]) -> None:
        from pyoxigraph import BlankNode, Literal

        self._blank, self._literal = BlankNode, Literal
        self._languages = languages
        self._numbers: dict[str, int] = defaultdict(count().__next__)
        self._triples, self._types = array("i"), array("i")
        self._said = Gathered()
        self.left_out: Counter[str] = Counter()

    def add(self, subject: Any, predicate: Any, object: Any) -> None:
        """Take one statement."""
        if type(subject) is self._blank or type(object) is self._blank:
            self.left_out["statements with blank nodes"] += 1
            return
        name = predicate.value
        if type(object) is self._literal:
            self._add_literal(subject, name, object)
        elif name in _TYPES:
            self._types.extend((self._numbers[subject.value], self._numbers[object.value]))
        elif hasattr(object, "value"):
            numbers = self._numbers
            self._triples.extend((numbers[subject.value], numbers[name], numbers[object.value]))
        else:
            self.left_out["statements about statements"] += 1  # RDF-star

    def _add_literal(self, subject: Any, predicate: str, object: Any) -> None:
        kind = _KINDS.get(predicate)
        rank = rank_language(object.language or "", self._languages) if kind else None
        text = " ".join(object.value.split())
        if kind is None:
            self.left_out["literal values"] += 1
        elif rank is None:
            self.left_out["texts in other languages"] += 1
        elif text:
            self._said.add(self._numbers[subject.value], kind, min(rank, 255), text)

    def write(self, writer: GraphWriter) -> None:
        """Hand entities, relations and triples to the writer."""
        total = len(self._numbers)
        triples = np.frombuffer(self._triples, np.int32).reshape(-1, 3)
        types = np.frombuffer(self._types, np.int32).reshape(-1, 2)
        types = types[np.argsort(types[:, 0], kind="stable")]
        type_starts = np.searchsorted(types[:, 0], np.arange(total + 1))
        in_triple, is_relation, is_type = (np.zeros(total, bool) for _ in range(3))
        in_triple[triples[:, 0]] = in_triple[triples[:, 2]] = True
        is_relation[triples[:, 1]] = is_type[types[:, 1]] = True
        rows, relation_rows = np.full(total, -1, np.int32), np.full(total, -1, np.int32)
        self._said.seal(total)
        type_names = self._type_names(is_type)
        for iri, number in self._numbers.items():
            label, *aliases = self._names(iri, number)
            if is_relation[number]:
                relation_rows[number] = writer.add_relation(Relation(iri, label))
            if not in_triple[number] and (is_relation[number] or is_type[number]):
                continue
            of_entity = types[type_starts[number] : type_starts[number + 1], 1].tolist()
            kinds = tuple(dict.fromkeys(type_names[kind] for kind in of_entity))
            description = next((text for kind, _, text in self._said.of(number) if kind == "d"), "")
            rows[number] = writer.add_entity(Entity(iri, label, tuple(aliases), description, kinds))
        coded = np.stack([rows[triples[:, 0]], relation_rows[triples[:, 1]], rows[triples[:, 2]]], axis=1)
        writer.add_triples("train", coded)

    def _names(self, iri: str, number: int) -> list[str]:
        """The label and then the aliases, each once: names before aliases, the best language first."""
        said = self._said.of(number)
        labels = [text for kind, _, text in said if kind == "l"] or [local_name(iri)]
        return list(dict.fromkeys([*labels, *(text for kind, _, text in said if kind == "a")]))

    def _type_names(self, is_type: npt.NDArray[np.bool_]) -> dict[int, str]:
        """What types are called: their label, with the IRI behind it where two types share one."""
        iris = list(self._numbers)
        names = {number: self._names(iris[number], number)[0] for number in np.flatnonzero(is_type).tolist()}
        uses = Counter(names.values())
        return {n: name if uses[name] == 1 else f"{name} ({iris[n]})" for n, name in names.items()}


def local_name(iri: str) -> str:
    """The end of an IRI as people read it: ".../New_York%20City" → "New York City"."""
    trimmed = iri.rstrip("/#")
    end = max(trimmed.rfind("/"), trimmed.rfind("#"), -1 if "/" in trimmed else trimmed.rfind(":"))
    return unquote(trimmed[end + 1 :]).replace("_", " ").strip() or iri
