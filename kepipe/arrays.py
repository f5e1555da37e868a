"""Rows of unequal length in numpy: index ranges side by side, and padding to a rectangle."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Scalar = TypeVar("Scalar", bound=np.generic)


def ranges(starts: npt.NDArray[Any], lengths: npt.NDArray[Any]) -> Ints:
    """The numbers starts[i], starts[i]+1, …, starts[i]+lengths[i]-1 of every i, one range after the other."""
    lengths = lengths.astype(np.int64, copy=False)
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts.astype(np.int64, copy=False) - before, lengths) + np.arange(lengths.sum())


def pad(values: npt.NDArray[Scalar], lengths_B: npt.NDArray[Any], fill: int) -> npt.NDArray[Scalar]:
    """Rows that stand one after the other in `values`, as [B, longest row], `fill` at the right."""
    rows = len(lengths_B)
    width = int(lengths_B.max(initial=0))
    padded = np.full((rows, width), fill, dtype=values.dtype)
    padded[np.arange(width) < lengths_B[:, None]] = values
    return padded
