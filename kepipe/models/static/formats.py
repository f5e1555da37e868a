"""Files of word vectors: the text and binary formats of word2vec, and that of GloVe; `.gz`: gzipped.

word2vec files begin with a header line of two numbers, words and dimension; GloVe files have no header. All text
formats have one word and its values per line; a word may contain blanks, as some of GloVe's do.
"""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np

from kepipe.arrays import Floats32
from kepipe.files import write_file
from kepipe.models.static.format_table import FORMATS, Format, FormatName
from kepipe.models.static.word_vectors import WordVectors
from kg.sources.reading import DAMAGE, open_bytes

Note = Callable[[str], None]
BLOCK = 4096
"""Lines that are parsed at a time."""
LONGEST_LINE = 1 << 22
"""Maximum bytes of a line."""
WIDEST = 1 << 17
"""Maximum dimension of a vector."""


def read(file: Path, format: FormatName | None = None, note: Note = lambda _: None) -> WordVectors:
    """The vectors of a file. `format`: None: detected. `note` gets the number of duplicate words, of which the first is
    kept. Raises ValueError with the number of an invalid line."""
    try:
        found = _detect(file) if format is None else FORMATS[format]
        with open_bytes(file, lambda _: None) as stream:
            words, vectors = (
                _read_binary(file, stream)
                if found.binary
                else _read_text(file, stream, has_header=found.has_header)
            )
    except DAMAGE as error:
        raise ValueError(f"{file}: cannot be read ({error})") from None
    if not np.isfinite(vectors).all():
        word = words[int(np.flatnonzero(~np.isfinite(vectors).all(1))[0])]
        raise ValueError(f"{file}: the vector of {word!r} has values that are not finite")
    rows = {word: row for row, word in reversed([*enumerate(words)])}
    if len(rows) < len(words):
        note(f"{file}: {len(words) - len(rows):,} duplicate words; the first of each is kept")
        kept = sorted(rows.values())
        return WordVectors([words[row] for row in kept], vectors[kept])
    return WordVectors(words, vectors)


def width(file: Path) -> int:
    """The dimension of a file's vectors, from its first lines. Raises ValueError if the file holds no vectors."""
    try:
        found = _detect(file)
        with open_bytes(file, lambda _: None) as stream:
            if found.has_header:
                return _header(file, stream.readline(LONGEST_LINE))[1]
            return _blanks(line for _, line in islice(_lines(file, stream), BLOCK))
    except DAMAGE as error:
        raise ValueError(f"{file}: cannot be read ({error})") from None


def _blanks(lines: Iterable[bytes]) -> int:
    """The dimension of vectors without a header: the most frequent number of blanks, as a few words contain blanks."""
    usual = Counter(line.count(b" ") for line in lines).most_common(1)
    return usual[0][0] if usual else 0


def write(file: Path, vectors: WordVectors, format: FormatName = "word2vec") -> None:
    """Write vectors. Raises ValueError for a word that the format cannot represent."""
    row = FORMATS[format]
    for word in vectors.words:
        if not word or any(character in word for character in row.forbidden):
            raise ValueError(f"the word {word!r} cannot be written in the format {format}")

    def save(path: Path) -> None:
        zipped = file.suffix == ".gz"
        with gzip.GzipFile(path, "wb", 6, mtime=0) if zipped else path.open("wb") as stream:
            if row.has_header:
                stream.write(f"{len(vectors.words)} {vectors.vectors.shape[1]}\n".encode())
            stream.writelines(_binary_lines(vectors) if row.binary else _text_lines(vectors))

    write_file(file, save)


def _detect(file: Path) -> Format:
    """The format of a file, from its first lines."""
    with open_bytes(file, lambda _: None) as stream:
        header = stream.readline(LONGEST_LINE).split()
        if len(header) != 2 or not all(part.isdigit() for part in header):
            return FORMATS["glove"]
        numbers = stream.readline(LONGEST_LINE).split()[-max(1, int(header[1])) :]
    is_text = len(numbers) == int(header[1]) and _are_numbers(numbers)
    return FORMATS["word2vec" if is_text else "word2vec-binary"]


def _are_numbers(parts: Iterable[bytes]) -> bool:
    try:
        return all(float(part) or True for part in parts)
    except ValueError:
        return False


def _header(file: Path, line: bytes) -> tuple[int, int]:
    parts = line.split()
    if len(parts) != 2 or not all(part.isdigit() for part in parts):
        raise ValueError(f"{file}:1: expected a header '<number of words> <dimension>', found {line[:40]!r}")
    number, width = int(parts[0]), int(parts[1])
    if not 1 <= width <= WIDEST:
        raise ValueError(f"{file}:1: expected vectors of 1 to {WIDEST:,} values, not of {width:,}")
    return number, width


def _read_text(file: Path, stream: IO[bytes], *, has_header: bool) -> tuple[list[str], Floats32]:
    lines = _lines(file, stream)
    stated_words, width = None, 0
    if has_header:
        stated_words, width = _header(file, next(lines, (1, b""))[1])
    words: list[str] = []
    parts: list[Floats32] = []
    while block := [*islice(lines, BLOCK)]:
        if not width:
            width = _blanks(line for _, line in block)
        block_words, values = _parse(file, block, width)
        words += block_words
        parts.append(values)
    if not words:
        raise ValueError(f"{file}: holds no vectors")
    if stated_words is not None and stated_words != len(words):
        raise ValueError(f"{file}:1: the header says {stated_words:,} words; there are {len(words):,}")
    return words, np.concatenate(parts)


def _lines(file: Path, stream: IO[bytes]) -> Iterator[tuple[int, bytes]]:
    """The non-empty lines, numbered from 1."""
    number = 0
    while line := stream.readline(LONGEST_LINE + 1):
        number += 1
        if len(line) > LONGEST_LINE:
            raise ValueError(
                f"{file}:{number}: a line of more than {LONGEST_LINE:,} bytes: not a vector file"
            )
        if line.strip():
            yield number, line.rstrip(b" \r\n")


def _parse(file: Path, block: list[tuple[int, bytes]], width: int) -> tuple[list[str], Floats32]:
    """Words and vectors [lines, D] of numbered lines."""
    fields = [line.rsplit(b" ", width) for _, line in block]
    try:
        words = [each[0].decode() for each in fields]
        values = np.array([each[1:] for each in fields]).astype(np.float32)
        if width and values.shape == (len(block), width):
            return words, values
    except ValueError:  # reported with its line below
        pass
    for (number, line), each in zip(block, fields, strict=True):
        if not width or len(each) != width + 1 or not _are_numbers(each[1:]):
            raise ValueError(
                f"{file}:{number}: expected a word and {width or 'its'} numbers, found {line[:60]!r}"
            )
        try:
            each[0].decode()
        except UnicodeDecodeError:
            raise ValueError(f"{file}:{number}: the word is not UTF-8: {each[0][:60]!r}") from None
    raise ValueError(f"{file}:{block[0][0]}: numbers that cannot be read, here or up to line {block[-1][0]}")


def _read_binary(file: Path, stream: IO[bytes]) -> tuple[list[str], Floats32]:
    number, width = _header(file, stream.readline(LONGEST_LINE))
    rest = stream.read()
    size = 4 * width
    if number * (size + 1) > len(rest):
        raise ValueError(
            f"{file}:1: the header says {number:,} vectors of {width:,} values; the file is too short"
        )
    vectors = np.empty((number, width), np.float32)
    words, place = [], 0
    for row in range(number):
        blank = rest.find(b" ", place)
        if blank < 0 or blank + 1 + size > len(rest):
            raise ValueError(f"{file}: ends within vector {row + 1:,} of {number:,}")
        try:
            words.append(rest[place:blank].lstrip(b"\n").decode())
        except UnicodeDecodeError:
            raise ValueError(f"{file}: word {row + 1:,} is not UTF-8: {rest[place:blank][:60]!r}") from None
        vectors[row] = np.frombuffer(rest, "<f4", width, blank + 1)
        place = blank + 1 + size
    if not words:
        raise ValueError(f"{file}: holds no vectors")
    return words, vectors


def _text_lines(vectors: WordVectors) -> Iterator[bytes]:
    for word, row in zip(vectors.words, vectors.vectors, strict=True):
        yield f"{word} {' '.join(map(str, np.asarray(row, np.float32)))}\n".encode()


def _binary_lines(vectors: WordVectors) -> Iterator[bytes]:
    for word, row in zip(vectors.words, vectors.vectors, strict=True):
        yield word.encode() + b" " + np.asarray(row, "<f4").tobytes() + b"\n"
