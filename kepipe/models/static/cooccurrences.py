"""Co-occurrence counts, out of core.

A hash assigns each pair to a file, so that all its counts are in one file; files are sorted and summed one by one. A
file is a random sample of the pairs, so training can iterate over one file at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from kepipe.arrays import Floats32, Ints, Ints32

FILE_BYTES = 1 << 27
"""Approximate size of a file of pairs before they are summed."""
MOST_FILES = 256
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # the multiplier of Fibonacci hashing
PAIR = np.dtype([("key", "<i8"), ("weight", "<f8")])


@dataclass(frozen=True)
class Pairs:
    """N co-occurring pairs of words, in both orders: `first`, `second`, int [N]; `counts`, float [N], the sum of
    1 / distance."""

    first: Ints32
    second: Ints32
    counts: Floats32

    def __len__(self) -> int:
        return len(self.first)


@dataclass(frozen=True)
class Cooccurrences:
    """The pairs of a text of W words, in files of a folder."""

    folder: Path
    files: int
    words: int

    def pairs(self) -> int:
        """Their number, in both orders."""
        return sum(len(self.part(number)) for number in range(self.files))

    def part(self, number: int) -> Pairs:
        """The pairs of a file, sorted by words."""
        stored = np.load(self.folder / f"{number}.npy")
        low, high = np.divmod(stored["key"], self.words)
        twice = low != high
        first, second = np.append(low, high[twice]), np.append(high, low[twice])
        counts = np.append(stored["weight"], stored["weight"][twice])
        return Pairs(first.astype(np.int32), second.astype(np.int32), counts.astype(np.float32))


def count(
    stretches: Iterable[tuple[Ints, Ints]],
    words: int,
    window: int,
    tokens: int,
    folder: Path,
    tick: Callable[[int], None] = lambda _: None,
) -> Cooccurrences:
    """Count the pairs of words at most `window` apart in a document, weighted by 1 / distance (Pennington et al. 2014,
    §4.2). `stretches`: see `kepipe.models.static.text.documents`; `tokens`: their approximate number. `tick` gets the
    number of words processed."""
    folder.mkdir(parents=True, exist_ok=True)
    files = min(MOST_FILES, 1 + tokens * window * PAIR.itemsize // FILE_BYTES)
    streams = [(folder / f"{number}.raw").open("wb") for number in range(files)]
    try:
        for words_N, documents_N in stretches:
            _spill(_summed(*_near(words_N, documents_N, words, window)), streams)
            tick(len(words_N))
    finally:
        for stream in streams:
            stream.close()
    for number in range(files):
        raw = folder / f"{number}.raw"
        pairs = np.fromfile(raw, PAIR)
        np.save(folder / f"{number}.npy", _summed(pairs["key"], pairs["weight"]))
        raw.unlink()
    return Cooccurrences(folder, files, words)


def _near(words_N: Ints, documents_N: Ints, words: int, window: int) -> tuple[Ints, Floats32]:
    """A key for each pair of neighbouring words, the lower word first, and its weight. A word next to itself counts
    twice, since both orders are the same entry of X."""
    keys, weights = [], []
    for distance in range(1, window + 1):
        left, right = words_N[:-distance], words_N[distance:]
        near = documents_N[:-distance] == documents_N[distance:]
        left, right = left[near], right[near]
        keys.append(np.minimum(left, right) * words + np.maximum(left, right))
        weights.append(np.where(left == right, 2.0, 1.0) / distance)
    return np.concatenate(keys), np.concatenate(weights)


def _summed(keys: Ints, weights: Floats32) -> np.ndarray[tuple[int], np.dtype[np.void]]:
    """The sorted unique keys, with the sum of their weights."""
    order = np.argsort(keys, kind="stable")
    keys, weights = keys[order], weights[order]
    first = np.flatnonzero(np.diff(keys, prepend=-1))
    summed = np.empty(len(first), PAIR)
    summed["key"] = keys[first]
    summed["weight"] = np.add.reduceat(weights, first) if len(first) else 0.0
    return summed


def _spill(pairs: np.ndarray[tuple[int], np.dtype[np.void]], streams: Sequence[IO[bytes]]) -> None:
    hashed = (pairs["key"].astype(np.uint64) * _SPREAD) >> np.uint64(32)
    file_of_pair = (hashed % np.uint64(len(streams))).astype(np.int64)
    order = np.argsort(file_of_pair, kind="stable")
    bounds = np.searchsorted(file_of_pair[order], np.arange(len(streams) + 1))
    ordered = pairs[order]
    for stream, start, stop in zip(streams, bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        ordered[start:stop].tofile(stream)
