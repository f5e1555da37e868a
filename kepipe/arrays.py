"""The arrays of kepipe: one name a number format, the three spaces of entity numbers, rows of unequal length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NewType, TypeVar

import numpy as np
import numpy.typing as npt

from kg.arrays import Bools, Floats, Floats32, Hashes, Ints, Ints32

__all__ = [
    "BatchRows",
    "Bools",
    "Floats",
    "Floats32",
    "Hashes",
    "Ints",
    "Ints32",
    "ShardEntities",
    "VectorRows",
    "pad",
    "ranges",
]

ShardEntities = NewType("ShardEntities", Ints)
"""Entities by their number in a list of ids that goes with the text (a shard's `entities.txt`); −1: none."""
VectorRows = NewType("VectorRows", Ints)
"""Entities by the row of their vector in a table (`EntityVectors`); −1: none."""
BatchRows = NewType("BatchRows", Ints)
"""Entities by the row of their vector among those that a batch carries; 0: none."""

Scalar = TypeVar("Scalar", bound=np.generic)


def ranges(starts: npt.NDArray[Any], lengths: npt.NDArray[Any]) -> Ints:
    """The numbers starts[i], starts[i]+1, …, starts[i]+lengths[i]-1 of every i, one range after the other."""
    lengths = lengths.astype(np.int64, copy=False)
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts.astype(np.int64, copy=False) - before, lengths) + np.arange(lengths.sum())


def padded_batches(lengths: Iterable[int], most: int) -> Iterator[slice]:
    """Slices of consecutive rows that have, padded, at most `most` tokens; a longer row is alone. `lengths`: of the
    rows, ascending."""
    start = stop = 0
    for stop, length in enumerate(lengths, start=1):
        if stop - start > 1 and (stop - start) * length > most:
            yield slice(start, stop - 1)
            start = stop - 1
    if stop:
        yield slice(start, stop)


def pad(values: npt.NDArray[Scalar], lengths_B: npt.NDArray[Any], fill: int) -> npt.NDArray[Scalar]:
    """Rows that stand one after the other in `values`, as [B, longest row], `fill` at the right."""
    rows = len(lengths_B)
    width = int(lengths_B.max(initial=0))
    padded = np.full((rows, width), fill, dtype=values.dtype)
    padded[np.arange(width) < lengths_B[:, None]] = values
    return padded
