"""Counting the n-grams of a text of any length: order by order, with sorted runs on disk that are merged.

An n-gram of order n is a pair (row of its first n − 1 words in the table of order n − 1, last word), packed into an
int64 that sorts like its words. So any order and vocabulary fits, and n-grams with the same prefix are adjacent.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kepipe.arrays import Ints
from kepipe.models.ngram.config import WIDEST
from kepipe.models.ngram.runs import ROWS, Column, Run, merge, open_run, write_run

UNK, BOS, EOS = 0, 1, 2
"""Word ids of `<unk>`, `<s>` and `</s>`; ordinary words follow."""
NONE = np.uint32(2**32 - 1)
"""The row of a missing n-gram."""
STRETCH = 1 << 22
"""Number of positions of the text that are sorted at a time."""
Tick = Callable[[int], None]


@dataclass(frozen=True)
class Counts:
    """The distinct n-grams of a text.

    `unigrams`: int64 [W], the count of each word, W the size of the vocabulary. `tables[n − 2]`, for order n ≥ 2:
    `keys` (row of the prefix << `bits` | word), `counts`, and as `partners` the row of the last n − 1 words in the
    table of order n − 1.
    """

    unigrams: Ints
    tables: tuple[Run, ...]
    bits: int

    @property
    def order(self) -> int:
        """The length of the longest n-grams."""
        return len(self.tables) + 1

    def size(self, order: int) -> int:
        """Number of distinct n-grams of an order."""
        return len(self.unigrams) if order == 1 else len(self.tables[order - 2])

    def begins(self, order: int) -> slice:
        """Rows of the n-grams of an order that begin with `<s>`; they are adjacent, since the table is sorted."""
        found = slice(BOS, BOS + 1)
        for table in self.tables[: order - 1]:
            borders = np.array([found.start, found.stop], np.int64) << self.bits
            found = slice(*np.searchsorted(table.keys.mapped, borders).tolist())
        return found


def word_bits(words: int) -> int:
    """Number of bits of a word's id in a key. Raises ValueError for a vocabulary that is too large."""
    bits = max(1, (words - 1).bit_length())
    if bits > WIDEST:
        raise ValueError(f"a vocabulary of {words:,} words is too large: expected at most {1 << WIDEST:,}")
    return bits


def count(
    stretches: Iterable[Ints], words: int, order: int, scratch: Path, tick: Tick = lambda _: None
) -> Counts:
    """Count a text's n-grams of all orders up to `order`.

    `stretches`: blocks of word ids; each sentence begins with BOS and ends with EOS. `scratch`: an empty folder for the
    runs and for the tables, which are memory-mapped. `tick` is called with the number of positions, `order` times the
    text in total. Raises ValueError if there is no text.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    bits, text, unigrams = word_bits(words), scratch / "text", np.zeros(words, np.int64)
    with text.open("wb") as stream:
        for stretch in stretches:
            unigrams += np.bincount(stretch, minlength=words)
            stream.write(stretch.astype(np.uint32).tobytes())
            tick(len(stretch))
    length = int(unigrams.sum())
    if not unigrams.any():
        raise ValueError("there is no text to count")
    if length >= NONE:
        raise ValueError(f"a text of {length:,} tokens is too long: expected less than {NONE:,}")
    tables: list[Run] = []
    before = text
    for n in range(2, order + 1):
        folder = scratch / f"order-{n}"
        folder.mkdir()
        after = None if n == order else scratch / f"rows-{n}"
        tables.append(_count_order(text, before, after, bits, folder, tick))
        if before != text:
            before.unlink()
        before = text if after is None else after
    text.unlink()
    return Counts(unigrams, tuple(tables), bits)


def _count_order(text: Path, before: Path, after: Path | None, bits: int, folder: Path, tick: Tick) -> Run:
    """The table of an order. `before`: at each position, the row of the n-gram of the previous order that ends there;
    `after`: the file for the rows of this order."""
    places = folder / "places"
    runs = 0
    with places.open("wb") as stream:
        for keys_N, partners_N, there_T in _occurrences(text, before, bits):
            found_N = write_run(folder / f"run-{runs}", keys_N, partners_N)
            runs += 1
            if after is not None:
                places_T = np.full(len(there_T), NONE, np.uint32)
                places_T[there_T] = found_N
                stream.write(places_T.tobytes())
            tick(len(there_T))
    rows = [folder / f"rows-{number}" for number in range(runs)]
    sorted_runs = [open_run(folder / f"run-{number}") for number in range(runs)]
    table = merge(sorted_runs, folder / "table", 2 * STRETCH, None if after is None else rows)
    if after is not None:
        _write_rows(places, rows, after)
    places.unlink()
    for file in [*folder.glob("run-*"), *folder.glob("rows-*")]:
        file.unlink()
    return table


def _occurrences(
    text: Path, before: Path, bits: int
) -> Iterator[tuple[Ints, npt.NDArray[np.uint32], npt.NDArray[np.bool_]]]:
    """For each block of the text: the keys and partners of the n-grams that end in it, and their positions."""
    words_file, rows_file = Column(text, ROWS), Column(before, ROWS)
    for start in range(0, len(words_file), STRETCH):
        stop = min(start + STRETCH, len(words_file))
        words_T, rows_T = words_file[start:stop], rows_file[start:stop]
        prefixes_T = np.empty(len(rows_T), np.uint32)
        prefixes_T[0] = rows_file[start - 1 : start][0] if start else NONE
        prefixes_T[1:] = rows_T[:-1]
        there_T = (prefixes_T != NONE) & (words_T != BOS)  # n-grams do not predict BOS or cross it
        keys_N = (prefixes_T[there_T].astype(np.int64) << bits) | words_T[there_T]
        yield keys_N, rows_T[there_T], there_T


def _write_rows(places: Path, rows: list[Path], after: Path) -> None:
    """Write the row of the n-gram that ends at each position, computed from its index in the run of its block."""
    with after.open("wb") as stream:
        for places_T, file in zip(Column(places, ROWS).stretches(STRETCH), rows, strict=True):
            there_T = places_T != NONE
            rows_T = np.full(len(places_T), NONE, np.uint32)
            if there_T.any():  # a text may have no n-gram of this order
                rows_T[there_T] = Column(file, ROWS)[:][places_T[there_T]]
            stream.write(rows_T.tobytes())


def continuations(counts: Counts, order: int) -> npt.NDArray[Any]:
    """The number of distinct words before each n-gram of an order: uint32 [M] (Kneser & Ney 1995). N-grams that begin
    with `<s>` have no previous word and keep their count."""
    found = np.zeros(counts.size(order), np.uint32)
    for partners_N in counts.tables[order - 1].partners.stretches(STRETCH):
        np.add.at(found, partners_N, np.uint32(1))
    if order > 1:
        begins = counts.begins(order)
        found[begins] = counts.tables[order - 2].counts[begins]
    return found
