"""Sorted runs on disk and their merge, for n-grams that do not fit into memory.

A run is a sorted array of distinct keys, each with its count and a partner number. Runs are merged range by range into
one such table, whatever its size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from kepipe.arrays import Ints

SAMPLES = 64
"""Keys sampled per run and per part of a merge, to cut it into parts of similar size."""


@dataclass(frozen=True)
class Column:
    """An array in a file. Slices are read into memory and not kept, unlike those of a memory map; `mapped` is for
    sparse access."""

    file: Path
    dtype: np.dtype[Any]

    def __len__(self) -> int:
        return self.file.stat().st_size // self.dtype.itemsize

    def __getitem__(self, rows: slice) -> npt.NDArray[Any]:
        start, stop, _ = rows.indices(len(self))
        return np.fromfile(self.file, self.dtype, max(0, stop - start), offset=start * self.dtype.itemsize)

    def stretches(self, length: int) -> Iterator[npt.NDArray[Any]]:
        """All elements, in blocks of `length`."""
        return (self[start : start + length] for start in range(0, len(self), length))

    @cached_property
    def mapped(self) -> npt.NDArray[Any]:
        """All elements, memory-mapped, as a plain view, since slicing np.memmap executes Python code."""
        if not len(self):
            return np.empty(0, self.dtype)
        return np.asarray(np.memmap(self.file, self.dtype, "r")).view(np.ndarray)


@dataclass(frozen=True)
class Run:
    """K distinct keys, ascending: `keys` int64 [K], `counts` uint32 [K], `partners` uint32 [K], on disk."""

    keys: Column
    counts: Column
    partners: Column

    def __len__(self) -> int:
        return len(self.keys)


COLUMNS: dict[str, np.dtype[Any]] = {
    "keys": np.dtype(np.int64),
    "counts": np.dtype(np.uint32),
    "partners": np.dtype(np.uint32),
}
ROWS = np.dtype(np.uint32)
"""The dtype of rows and words in files."""


def open_run(place: Path) -> Run:
    """The run whose columns are `place.keys`, `place.counts`, `place.partners`."""
    return Run(*(Column(place.with_suffix(f".{name}"), dtype) for name, dtype in COLUMNS.items()))


def write_run(place: Path, keys_N: Ints, partners_N: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Sort keys into a run, together with the partner that equal keys share; returns the index of each key in it:
    uint32 [N]."""
    order_N = np.argsort(keys_N)
    sorted_N = keys_N[order_N]
    first_N = np.ones(len(keys_N), np.bool_)
    np.not_equal(sorted_N[1:], sorted_N[:-1], out=first_N[1:])
    starts_K = np.flatnonzero(first_N)
    sorted_N[starts_K].tofile(place.with_suffix(".keys"))
    np.diff(starts_K, append=len(keys_N)).astype(np.uint32).tofile(place.with_suffix(".counts"))
    partners_N[order_N[starts_K]].tofile(place.with_suffix(".partners"))
    places_N = np.empty(len(keys_N), np.uint32)
    places_N[order_N] = np.cumsum(first_N, dtype=np.uint32) - np.uint32(1)
    return places_N


def merge(runs: Sequence[Run], place: Path, limit: int, rows: Sequence[Path] | None = None) -> Run:
    """Merge several runs into one. About `limit` keys are in memory at a time.

    `rows`: for each run, a file for the index of each of its keys in the merged run (uint32).
    """
    ends = {name: place.with_suffix(f".{name}").open("wb") for name in COLUMNS}
    base = 0
    try:
        for slices in _ranges(runs, limit):
            parts = list(zip(runs, slices, strict=True))
            keys_N = np.concatenate([run.keys[own] for run, own in parts])
            order_N = np.argsort(keys_N, kind="stable")
            sorted_N = keys_N[order_N]
            first_N = np.ones(len(keys_N), np.bool_)
            np.not_equal(sorted_N[1:], sorted_N[:-1], out=first_N[1:])
            starts_K = np.flatnonzero(first_N)
            if not len(starts_K):
                continue
            counts_N = np.concatenate([run.counts[own] for run, own in parts])[order_N]
            ends["keys"].write(sorted_N[starts_K].tobytes())
            ends["counts"].write(np.add.reduceat(counts_N, starts_K, dtype=np.uint32).tobytes())
            partners_N = np.concatenate([run.partners[own] for run, own in parts])
            ends["partners"].write(partners_N[order_N[starts_K]].tobytes())
            if rows is not None:
                rows_N = np.empty(len(keys_N), np.uint32)
                rows_N[order_N] = np.cumsum(first_N) + (base - 1)
                at = np.cumsum([0, *(own.stop - own.start for own in slices)])
                for number, file in enumerate(
                    rows
                ):  # not kept open: there may be more runs than file descriptors
                    with file.open("ab") as stream:
                        stream.write(rows_N[at[number] : at[number + 1]].tobytes())
            base += len(starts_K)
    finally:
        for end in ends.values():
            end.close()
    return open_run(place)


def _ranges(runs: Sequence[Run], limit: int) -> Iterator[list[slice]]:
    """Ascending ranges of keys with about `limit` keys in total, as a slice of each run."""
    total = sum(map(len, runs))
    parts = max(1, -(-2 * total // max(1, limit)))
    step = max(1, total // (parts * SAMPLES))
    sample = np.sort(np.concatenate([run.keys.mapped[::step] for run in runs]))
    places = np.linspace(0, len(sample) - 1, parts + 1).astype(np.int64)[1:-1]
    borders = np.unique(sample[places])
    starts = [0] * len(runs)
    for border in [*borders.tolist(), None]:
        stops = [
            len(run) if border is None else int(np.searchsorted(run.keys.mapped, border)) for run in runs
        ]
        yield [slice(*ends) for ends in zip(starts, stops, strict=True)]
        starts = stops
