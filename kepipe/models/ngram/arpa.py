"""Reading and writing ARPA files, the exchange format of n-gram models; gzipped if the name ends in `.gz`.

`\\data\\`, the number of n-grams of each order, and for each order one line per n-gram: log10 p, its words, and log10
of its back-off weight, which may be omitted (Stolcke 2002, ngram-format).
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import numpy as np

from kepipe.arrays import Floats32, Ints
from kepipe.files import write_file
from kepipe.models.ngram.config import LONGEST
from kepipe.models.ngram.counting import BOS, UNK, word_bits
from kepipe.models.ngram.tables import NEVER, NgramTables
from kepipe.models.ngram.vocabulary import SPECIAL
from kg.sources.reading import DAMAGE, open_bytes

LONGEST_LINE = 1 << 20
"""Maximum length of a line in bytes."""
CHUNK = 1 << 16
"""Number of n-grams written at a time."""
MARGIN = 1e-4
"""Tolerance for rounding: how far above 0 the log10 of a probability may be."""


def write(file: Path, tables: NgramTables, words: list[str]) -> None:
    """Write a model. Raises ValueError for words that a line cannot represent, and OSError naming the file."""
    names = [_name(word) for word in words]

    def save(path: Path) -> None:
        with path.open("wb") as raw, _zipped(raw, file) as stream:
            stream.write(b"\\data\\\n")
            for order, size in enumerate(tables.sizes, 1):
                stream.write(f"ngram {order}={size}\n".encode())
            for order, size in enumerate(tables.sizes, 1):
                stream.write(f"\n\\{order}-grams:\n".encode())
                for start in range(0, size, CHUNK):
                    rows = slice(start, min(start + CHUNK, size))
                    stream.write("".join(_lines(tables, order, rows, names)).encode())
            stream.write(b"\n\\end\\\n")

    write_file(file, save)


@contextmanager
def _zipped(raw: IO[bytes], file: Path) -> Iterator[IO[bytes]]:
    if file.suffix != ".gz":
        yield raw
        return
    with gzip.GzipFile(
        "", "wb", compresslevel=6, fileobj=raw, mtime=0
    ) as stream:  # a fixed time stamp, so that equal models give equal bytes
        yield cast(IO[bytes], stream)


def _name(word: str) -> str:
    if not word or word.encode().split() != [word.encode()]:
        raise ValueError(f"the word {word!r} has white space, which separates words in ARPA files")
    return word


def _lines(tables: NgramTables, order: int, rows: slice, names: list[str]) -> Iterator[str]:
    log_probs = tables.log_probs[order - 1][rows].astype(str).tolist()
    texts = [" ".join([names[word] for word in ngram]) for ngram in tables.ngrams(order, rows).tolist()]
    if order == tables.order:
        return (f"{p}\t{text}\n" for p, text in zip(log_probs, texts, strict=True))
    weights = tables.weights[order - 1][rows].astype(str).tolist()
    return (f"{p}\t{text}\t{weight}\n" for p, text, weight in zip(log_probs, texts, weights, strict=True))


@dataclass
class _Lines:
    """The non-empty lines of a file, with their numbers."""

    file: Path
    stream: IO[bytes]
    number: int = 0

    def next(self) -> bytes:
        """The next non-empty line. Raises ValueError at the end of the file."""
        while line := self.stream.readline(LONGEST_LINE + 1):
            self.number += 1
            if len(line) > LONGEST_LINE:
                raise self.wrong(f"a line of more than {LONGEST_LINE:,} bytes: not an n-gram")
            if line.strip():
                return line.strip()
        raise self.wrong("the file ends before \\end\\")

    def wrong(self, message: str) -> ValueError:
        return ValueError(f"{self.file}:{self.number}: {message}")


def read(file: Path) -> tuple[NgramTables, list[str]]:
    """Read a model and its words, SPECIAL first. `<s>` is never predicted, whatever the file says, and a missing
    `<unk>` has no probability. Raises ValueError with file and line."""
    try:
        with open_bytes(file, lambda _: None) as stream:
            return _read(_Lines(file, stream))
    except DAMAGE as error:
        if getattr(error, "errno", None):
            raise
        raise ValueError(f"{file}: the compressed data is damaged ({error})") from None


def _read(lines: _Lines) -> tuple[NgramTables, list[str]]:
    while lines.next() != b"\\data\\":
        pass
    sizes: list[int] = []
    while (line := lines.next()).startswith(b"ngram "):
        number, _, size_of = line.removeprefix(b"ngram ").partition(b"=")
        if not size_of.strip().isdigit() or number.strip() != str(len(sizes) + 1).encode():
            raise lines.wrong(f"expected `ngram {len(sizes) + 1}=` and a number")
        sizes.append(int(size_of))
    if not 1 <= len(sizes) <= LONGEST:
        raise lines.wrong(f"expected n-grams of 1 to {LONGEST} words, found {len(sizes)}")
    if line != b"\\1-grams:":
        raise lines.wrong("expected \\1-grams:")
    ids, log_probs, weights = _unigrams(lines, sizes[0])
    tables = NgramTables(word_bits(len(ids)), (), (log_probs,), ())
    for order in range(2, len(sizes) + 1):
        if lines.next() != f"\\{order}-grams:".encode():
            raise lines.wrong(
                f"expected \\{order}-grams:, after {sizes[order - 2]:,} n-grams of the order below"
            )
        tables, weights = _longer(lines, order, sizes[order - 1], ids, tables, weights)
    if lines.next() != b"\\end\\":
        raise lines.wrong(f"expected \\end\\, after {sizes[-1]:,} n-grams of the highest order")
    return tables, [word.decode() for word in ids]


def _unigrams(lines: _Lines, size: int) -> tuple[dict[bytes, int], Floats32, Floats32]:
    """Words by id, and their columns."""
    ids = {word.encode(): number for number, word in enumerate(SPECIAL)}
    log_probs, weights = [NEVER] * len(ids), [0.0] * len(ids)
    seen: set[bytes] = set()
    for _ in range(size):
        log_prob, (word,), weight = _entry(lines, 1)
        word = SPECIAL[UNK].encode() if word == b"<UNK>" else word
        if word in seen:
            raise lines.wrong(f"{word.decode(errors='replace')} occurs twice")
        try:
            word.decode()
        except UnicodeDecodeError:
            raise lines.wrong("not UTF-8") from None
        seen.add(word)
        number = ids.setdefault(word, len(ids))
        if number == len(log_probs):
            log_probs.append(log_prob)
            weights.append(weight)
        else:
            log_probs[number], weights[number] = log_prob, weight
    log_probs[BOS] = NEVER
    return ids, np.array(log_probs, np.float32), np.array(weights, np.float32)


def _longer(
    lines: _Lines, order: int, size: int, ids: dict[bytes, int], below: NgramTables, weights: Floats32
) -> tuple[NgramTables, Floats32]:
    """The tables with one more order, and the back-off weights of that order, if a longer order uses them."""
    words_RN = np.empty((size, order), np.int64)
    log_probs_R, own_R = np.empty(size, np.float32), np.empty(size, np.float32)
    first = lines.number + 1
    for row in range(size):
        log_probs_R[row], words, own_R[row] = _entry(lines, order)
        try:
            words_RN[row] = [ids[word] for word in words]
        except KeyError as missing:
            word = missing.args[0].decode(errors="replace")
            raise lines.wrong(f"{word} is not among the 1-grams") from None
    prefixes_R: Ints = words_RN[:, 0]
    for place in range(1, order - 1):
        prefixes_R = below.find(place + 1, prefixes_R, words_RN[:, place])
    if (alone := np.flatnonzero(prefixes_R < 0)).size:
        lines.number = first + int(alone[0])
        raise lines.wrong(f"the first {order - 1} words are not an n-gram of the model")
    keys_R = (prefixes_R << below.bits) | words_RN[:, -1]
    order_R = np.argsort(keys_R, kind="stable")
    keys_R = keys_R[order_R]
    if (again := np.flatnonzero(keys_R[1:] == keys_R[:-1])).size:
        lines.number = first + int(order_R[again[0] + 1])
        raise lines.wrong("the n-gram occurs twice")
    return (
        NgramTables(
            below.bits,
            (*below.keys, keys_R),
            (*below.log_probs, log_probs_R[order_R]),
            (*below.weights, weights),
        ),
        own_R[order_R],
    )


def _entry(lines: _Lines, order: int) -> tuple[float, list[bytes], float]:
    """log10 p, the words, and log10 of the weight (0 if there is none)."""
    fields = lines.next().split()  # split at ASCII white space only: words may contain other white space
    if not order + 1 <= len(fields) <= order + 2:
        raise lines.wrong(f"expected log10 p, {order} words and optionally a weight")
    try:
        log_prob, weight = float(fields[0]), float(fields[-1]) if len(fields) == order + 2 else 0.0
    except ValueError:
        raise lines.wrong("expected numbers around the words") from None
    if not log_prob <= MARGIN or not abs(weight) <= -NEVER * 2:
        raise lines.wrong("expected log10 of a probability, and of a weight")
    return min(log_prob, 0.0), fields[1 : order + 1], weight
