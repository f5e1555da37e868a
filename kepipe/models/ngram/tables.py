"""The tables of an n-gram model: a folder of memory-mapped columns, with vectorised lookup."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kepipe.arrays import Floats, Floats32, Ints, ranges
from kg import columns

NEVER = -99.0
"""log10 of zero probability, as in ARPA files."""
CHUNK = 1 << 20
"""Number of weights whose logarithms are computed at a time."""


@dataclass(frozen=True)
class NgramTables:
    """N-grams of orders 1 … N, memory-mapped.

    `keys[n − 2]`: int64 [M_n], ascending, the row of the prefix << `bits` | the last word. `log_probs[n − 1]`: float32
    [M_n], log10 p of the last word given the others. `weights[n − 1]`: float32 [M_n], log10 of the back-off weight, for
    orders below N.
    """

    bits: int
    keys: tuple[Ints, ...]
    log_probs: tuple[Floats32, ...]
    weights: tuple[Floats32, ...]

    @property
    def order(self) -> int:
        """N."""
        return len(self.log_probs)

    @property
    def words(self) -> int:
        """W, the size of the vocabulary, `<unk>`, `<s>` and `</s>` included."""
        return len(self.log_probs[0])

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of n-grams of each order."""
        return tuple(map(len, self.log_probs))

    def find(self, order: int, prefixes_N: Ints, words_N: Ints) -> Ints:
        """Rows of n-grams of an order ≥ 2, given the rows of their prefixes (−1: none): int [N], −1 for none."""
        keys = self.keys[order - 2]
        found_N = np.full(len(prefixes_N), -1, np.int64)
        there_N = np.flatnonzero(prefixes_N >= 0)
        if not len(there_N) or not len(keys):
            return found_N
        asked = (prefixes_N[there_N] << self.bits) | words_N[there_N]
        places = np.minimum(np.searchsorted(keys, asked), len(keys) - 1)
        hits = keys[places] == asked
        found_N[there_N[hits]] = places[hits]
        return found_N

    def rows(self, text_T: Ints) -> list[Ints]:
        """For each order, the row of the n-gram that ends at each position of a text: int [T], −1 for none."""
        found = [text_T]
        for order in range(2, self.order + 1):
            found.append(self.find(order, _before(found[-1]), text_T))
        return found

    def score(self, text_T: Ints) -> Floats:
        """log10 p of each word of a text given the words before it, float [T].

        The text may be a concatenation of several, each of which begins with `<s>`: no n-gram crosses it. The values at
        `<s>` itself are meaningless.
        """
        rows = self.rows(text_T)
        found_T = self.log_probs[0][text_T].astype(np.float64)
        for order in range(2, self.order + 1):
            context_T = _before(rows[order - 2])
            there_T = context_T >= 0
            found_T[there_T] += self.weights[order - 2][context_T[there_T]]
            seen_T = rows[order - 1] >= 0
            found_T[seen_T] = self.log_probs[order - 1][rows[order - 1][seen_T]]
        return found_T

    def following(self, contexts: list[Ints]) -> Floats:
        """log10 p of every word after each of B contexts: float [B, W]. A context is the previous words, including
        `<s>` if the text begins there."""
        found_BW = np.tile(self.log_probs[0].astype(np.float64), (len(contexts), 1))
        for order in range(2, self.order + 1):
            long = [number for number, context in enumerate(contexts) if len(context) >= order - 1]
            if not long:
                break
            rows_B = self._row_of([contexts[number][len(contexts[number]) - order + 1 :] for number in long])
            has_row = rows_B >= 0
            owners, rows = np.array(long)[has_row], rows_B[has_row]
            found_BW[owners] += self.weights[order - 2][rows, None]
            first, stop = (np.searchsorted(self.keys[order - 2], (rows + end) << self.bits) for end in (0, 1))
            children = ranges(first, stop - first)
            words = self.keys[order - 2][children] & ((1 << self.bits) - 1)
            found_BW[np.repeat(owners, stop - first), words] = self.log_probs[order - 1][children]
        return found_BW

    def _row_of(self, ngrams: list[Ints]) -> Ints:
        """The row of each n-gram, all of one order: int [B], −1 for none."""
        words_BN = np.stack(ngrams)
        found = words_BN[:, 0]
        for place in range(1, words_BN.shape[1]):
            found = self.find(place + 1, found, words_BN[:, place])
        return found

    def ngrams(self, order: int, rows: slice) -> Ints:
        """The words of the n-grams in some rows of an order: int [R, order]."""
        if order == 1:
            return np.arange(*rows.indices(self.words))[:, None]
        found, keys = [], self.keys[order - 2][rows]
        for below in range(order, 1, -1):
            found.append(keys & ((1 << self.bits) - 1))
            prefixes = keys >> self.bits
            keys = prefixes if below == 2 else self.keys[below - 3][prefixes]
        return np.stack([keys, *reversed(found)], 1)


def _before(rows_T: Ints) -> Ints:
    """The previous position's values; −1 at the first."""
    return np.concatenate([[-1], rows_T[:-1]]) if len(rows_T) else rows_T


class TableWriter:
    """Writes the columns of a model order by order: `words`, then `start`, `append` …, `weights` of the order below."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._files: tuple[Path, Path] = (folder, folder)

    def words(self, log_probs_W: Floats32) -> None:
        """Write order 1."""
        columns.save(self.folder, "log_probs-1", log_probs_W)

    def start(self, order: int, size: int) -> None:
        """Begin an order with `size` n-grams."""
        self._files = (
            self._create(f"keys-{order}", size, "<i8"),
            self._create(f"log_probs-{order}", size, "<f4"),
        )

    def append(self, keys_N: Ints, log_probs_N: Floats32) -> None:
        """Add n-grams of the order, in the order of their keys."""
        for file, values_N in zip(self._files, (keys_N, log_probs_N), strict=True):
            with file.open("ab") as stream:
                stream.write(np.ascontiguousarray(values_N).tobytes())

    def weights(self, order: int, weights_M: Floats) -> None:
        """Write the back-off weights of an order (not their logarithms)."""
        logs_M = np.empty(len(weights_M), np.float32)
        for start in range(0, len(weights_M), CHUNK):
            own = slice(start, start + CHUNK)
            logs_M[own] = np.log10(np.maximum(weights_M[own], 10.0**NEVER))
        columns.save(self.folder, f"weights-{order}", logs_M)

    def _create(self, name: str, size: int, kind: str) -> Path:
        """A file with the header of an array, to which its values are appended: pages of a memory map would stay in
        memory."""
        file = self.folder / f"{name}.npy"
        file.unlink(missing_ok=True)
        with file.open("wb") as stream:
            head = {"descr": kind, "fortran_order": False, "shape": (size,)}
            np.lib.format.write_array_header_1_0(stream, head)
        return file


def open_tables(folder: Path, order: int, bits: int) -> NgramTables:
    """Memory-map a model's columns. Raises ValueError if they are missing, damaged, or inconsistent."""
    keys = tuple(_column(folder, f"keys-{n}", np.int64) for n in range(2, order + 1))
    log_probs = tuple(_column(folder, f"log_probs-{n}", np.float32) for n in range(1, order + 1))
    weights = tuple(_column(folder, f"weights-{n}", np.float32) for n in range(1, order))
    sizes = [len(column) for column in log_probs]
    if [len(column) for column in keys] != sizes[1:] or [len(column) for column in weights] != sizes[:-1]:
        raise ValueError(f"{folder}: the columns of the model are inconsistent: fit it again")
    if not 3 <= sizes[0] <= 1 << bits:
        raise ValueError(f"{folder}: {sizes[0]:,} words do not match the model's config")
    return NgramTables(bits, keys, log_probs, weights)


def _column(folder: Path, name: str, dtype: type) -> Any:
    found = columns.load(folder, name)
    if found.dtype != dtype or found.ndim != 1:
        raise ValueError(f"{folder / name}.npy: expected a one-dimensional array of {np.dtype(dtype)}")
    return found
