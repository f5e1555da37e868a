"""Shared by all readers: plain and compressed files, names in the requested languages, triples by id."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import zlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from kg.problems import Problems
from kg.regular_files import LONGEST_LINE, JsonError, open_regular, parse_json
from kg.schema import Entity, Relation
from kg.writer import GraphWriter

Tick = Callable[[int], None]
"""Called with the number of bytes of the file on disk read since the last call."""

_BOM = b"\xef\xbb\xbf"
_UTF_16 = "UTF-16, expected UTF-8: iconv -f UTF-16 -t UTF-8 converts it"
PACKINGS = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}
"""Extension of a compressed file → its compression."""
_OF_ANOTHER_KIND = dict.fromkeys((b"\xff\xfe", b"\xfe\xff"), _UTF_16) | {
    start: f"compressed with {name}: decompress it, or use one of {', '.join(PACKINGS.values())}"
    for start, name in {b"PK\x03\x04": "zip", b"7z\xbc\xaf": "7z", b"Rar!": "rar"}.items()
}
"""First bytes of files that cannot be read line by line → the message."""
_BREAK = re.compile(r"[\r\n]")
FREE, TIMES = 1 << 28, 200
"""Maximum uncompressed size of any file: a number of bytes, or a multiple of the compressed size, whichever is greater.
Texts and graphs typically compress to a tenth, at most to a fiftieth."""
LARGEST_JSON = 1 << 30
"""Maximum size in bytes of a JSON file that is read as a whole."""
_LARGEST_DICTIONARY = 1 << 28
"""Maximum memory in bytes for decompressing xz; its highest preset needs a quarter of it."""
_BUFFER = 1 << 20
_BLOCK = 1 << 22


@dataclass(frozen=True, slots=True)
class Relations:
    """A filter of relations, by id or label: those of `include`, or all if it is empty, without those of `exclude`."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.include or self.exclude)

    def has(self, relation: Relation) -> bool:
        """Whether triples of this relation are read."""
        names = {relation.id, relation.label}
        return (not self.include or not names.isdisjoint(self.include)) and names.isdisjoint(self.exclude)


@dataclass(frozen=True, slots=True)
class Choices:
    """Options of sources; each format lists the ones that it supports in `options`."""

    languages: tuple[str, ...] = ("en",)
    """Languages of names, best first (RDF, Wikidata). The label is in the first language that has one."""
    columns: tuple[str, str, str] | None = None
    """Column names of head, relation and tail (CSV); None: the first three columns."""
    min_sitelinks: int = 0
    """Wikidata: minimum number of links to Wikipedia and its sister projects; other items are skipped."""
    min_population: int = 15000
    """GeoNames: minimum population of a city."""
    relations: Relations = Relations()
    """Relations whose triples are read."""


DAMAGE = (EOFError, zlib.error, lzma.LZMAError, OSError)
"""Exceptions raised when decompressing damaged or truncated data (OSError only without an errno)."""


@contextmanager
def open_bytes(file: Path, tick: Tick) -> Iterator[io.BufferedReader[Any]]:
    """Open a file, decompressed if it is compressed with one of `PACKINGS`. The compression is recognised by the first
    bytes, not by the name."""
    with ExitStack() as stack:
        raw = stack.enter_context(_Watched(file, tick))

        def bounded(read: Callable[[int], bytes]) -> io.BufferedReader[Any]:
            unpacked = cast("Any", _Unpacked(read, raw, file))
            return stack.enter_context(io.BufferedReader(unpacked, _BUFFER))

        buffered = stack.enter_context(io.BufferedReader(raw, _BUFFER))
        magic = buffered.peek(3)
        if magic.startswith(b"\x1f\x8b"):
            yield bounded(stack.enter_context(gzip.GzipFile(fileobj=buffered)).read1)
        elif magic.startswith(b"BZh"):
            yield bounded(cast("Any", stack.enter_context(_Streams(buffered, bz2.BZ2Decompressor))).read)
        elif magic.startswith(b"\xfd7z"):
            unpacked = _Streams(buffered, lambda: lzma.LZMADecompressor(memlimit=_LARGEST_DICTIONARY))
            yield bounded(cast("Any", stack.enter_context(unpacked)).read)
        elif magic.startswith(b"\x28\xb5\x2f"):
            from pyarrow import CompressedInputStream

            yield bounded(stack.enter_context(CompressedInputStream(buffered, "zstd")).read)
        else:
            yield buffered


def packed_or_not(file: Path) -> Path | None:
    """The path itself, or that of its compressed form; None if neither exists."""
    candidates = (file.with_name(file.name + packing) for packing in ("", *PACKINGS))
    return next((found for found in candidates if found.is_file()), None)


def unpacked_name(file: Path) -> str:
    """The name of a file without the extension of a compression, which may be in capitals."""
    packing = next((end for end in PACKINGS if file.name.lower().endswith(end)), "")
    return file.name[: len(file.name) - len(packing)]


def read_blocks(
    file: Path, problems: Problems, tick: Tick, size: int = _BLOCK
) -> Iterator[tuple[int, bytes]]:
    """Yield blocks of complete lines, of about `size` bytes, each with the number of its first line, from 1.

    Damaged or truncated compressed data is reported as a problem at its last line. Files in UTF-16 or with an
    unsupported compression are not read.
    """
    first, rest, begun = 1, bytearray(), False

    def whole_lines(end: int) -> bytes:
        begin = len(_BOM) if first == 1 and rest.startswith(_BOM) else 0
        return bytes(memoryview(rest)[begin:end])

    with open_bytes(file, tick) as stream:
        try:
            while piece := stream.read1(_BUFFER):
                rest += piece
                if not begun:
                    kind = _other_kind(bytes(rest[:8]))
                    if kind is not None:
                        problems.add(file, 0, kind)
                        return
                    begun = True
                end = rest.rfind(b"\n", len(rest) - len(piece)) + 1
                if not end and len(rest) > LONGEST_LINE:
                    line = first + rest.count(b"\n")
                    raise ValueError(f"{file}:{line}: a line of more than {LONGEST_LINE >> 20} MB: refused")
                if end and len(rest) >= size:
                    block = whole_lines(end)
                    yield first, block
                    first += block.count(b"\n")
                    del rest[:end]
        except DAMAGE as error:
            if isinstance(error, OSError) and error.errno is not None:
                raise  # an error of the disk, not of the file
            yield first, whole_lines(rest.rfind(b"\n") + 1)
            line = first + rest.count(b"\n")
            problems.add(file, line, f"the compressed data is damaged from here on ({error}); not read")
            return
    if rest:
        yield first, whole_lines(len(rest))


def _other_kind(start: bytes) -> str | None:
    """The kind of a file with these first bytes that is not UTF-8."""
    if len(start) >= 4 and (start[0] == start[2] == 0) != (start[1] == start[3] == 0):
        return _UTF_16
    return next((kind for magic, kind in _OF_ANOTHER_KIND.items() if start.startswith(magic)), None)


def read_lines(file: Path, problems: Problems, tick: Tick) -> Iterator[tuple[int, bytes]]:
    """Yield numbered non-blank lines as bytes, so that invalid UTF-8 invalidates a single line.

    Damage is reported as by `read_blocks`.
    """
    for first, block in read_blocks(file, problems, tick, _BUFFER):
        for number, line in enumerate(io.BytesIO(block), first):
            if not line.isspace():
                yield number, line


class _Streams(io.RawIOBase):
    """The content of a bzip2 or xz file with one or several streams (`pbzip2`, Wikidata's dumps).

    Python's BZ2File silently stops at a stream with a damaged header; this class raises OSError. Zero bytes at the end
    are padding, as in gzip.
    """

    def __init__(self, packed: io.BufferedReader[Any], begin: Callable[[], Any]) -> None:
        self._packed, self._begin, self._stream = packed, begin, begin()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while True:
            if self._stream.eof:
                rest = self._stream.unused_data or self._packed.read1(_BUFFER)
                while rest and not rest.strip(b"\0"):
                    rest = self._packed.read1(_BUFFER)
                if not rest:
                    return 0
                self._stream = self._begin()
            else:
                rest = self._packed.read1(_BUFFER) if self._stream.needs_input else b""
                if self._stream.needs_input and not rest:
                    raise EOFError("it ends before the end of its last stream")
            if data := self._stream.decompress(rest, len(buffer)):
                buffer[: len(data)] = data
                return len(data)


class _Unpacked(io.RawIOBase):
    """A stream of decompressed data. Raises ValueError if it is so much larger than the file that it may be a
    decompression bomb."""

    def __init__(self, read: Callable[[int], bytes], packed: _Watched, file: Path) -> None:
        self._read, self._packed, self._file, self._count = read, packed, file, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._read(len(buffer))
        buffer[: len(data)] = data
        self._count += len(data)
        if self._count > max(FREE, TIMES * self._packed.count):
            raise ValueError(
                f"{self._file}: unpacks to more than {TIMES} times its size: refused, since it may fill the memory; "
                "if you trust it, unpack it first"
            )
        return len(data)


class _Watched(io.RawIOBase):
    """A file that counts the bytes read from it; `count`: bytes."""

    def __init__(self, file: Path, tick: Tick) -> None:
        self._stream, self._tick, self.count = open_regular(file).detach(), tick, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count: int = cast("Any", self._stream).readinto(buffer) or 0
        self.count += count
        self._tick(count)
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()


def rank_language(tag: str, languages: Sequence[str]) -> int | None:
    """How suitable a text with the BCP 47 tag `tag` is for the requested `languages`: 0 is best, None is unsuitable.

    "zh-hans" matches a request for "zh", ranked after "zh" itself. Text without a tag, and Wikidata's "mul", match
    every request, ranked last.
    """
    tag = tag.lower().replace("_", "-")
    for place, language in enumerate(languages):
        wanted = language.lower()
        if tag == wanted:
            return 2 * place
        if tag.startswith(f"{wanted}-"):
            return 2 * place + 1
    return 2 * len(languages) if tag in ("", "mul") else None


class TriplesById:
    """Collects triples by id, and adds unknown entities and relations with their id as label."""

    def __init__(self, writer: GraphWriter) -> None:
        self._writer, self._triples = writer, array("i")

    def add(self, head: str, relation: str, tail: str) -> None:
        """Add a triple."""
        writer = self._writer
        head_row = writer.entity_rows.get(head)
        if head_row is None:
            head_row = writer.add_entity(Entity(head, head))
        tail_row = writer.entity_rows.get(tail)
        if tail_row is None:
            tail_row = writer.add_entity(Entity(tail, tail))
        relation_row = writer.relation_rows.get(relation)
        if relation_row is None:
            relation_row = writer.add_relation(Relation(relation, relation))
        self._triples.extend((head_row, relation_row, tail_row))

    def store(self, split: str = "train") -> None:
        """Write the collected triples to the writer."""
        self._writer.add_triples(split, np.frombuffer(self._triples, np.int32))
        self._triples = array("i")


def read_whole_json(file: Path, tick: Tick, most: int = LARGEST_JSON) -> Any:
    """The value of a JSON file, plain or compressed. Raises ValueError, with the line, if it is invalid or too large
    for memory."""
    try:
        with open_bytes(file, tick) as stream:
            content = stream.read(most + 1)
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # an error of the disk, not of the file
        raise ValueError(f"{file}: the compressed data is damaged ({error})") from None
    kind = _other_kind(content[:8])
    if kind is not None:
        raise ValueError(f"{file}: {kind}")
    if len(content) > most:
        raise ValueError(f"{file}: one JSON value of more than {most >> 20} MB: refused")
    try:
        return parse_json(content.removeprefix(_BOM))
    except JsonError as error:
        raise ValueError(f"{file}:{error.line}: {error}") from None


def one_line(text: str) -> str:
    """A text with each line break, and the blanks around it, replaced by a single space."""
    if "\n" not in text and "\r" not in text:
        return text
    return " ".join(filter(None, map(str.strip, _BREAK.split(text))))


def explain(error: ValueError) -> str:
    """The message for a line that could not be read."""
    return f"not UTF-8 (byte {error.start + 1})" if isinstance(error, UnicodeDecodeError) else str(error)
