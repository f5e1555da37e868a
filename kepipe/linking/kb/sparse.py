"""Vectorised operations on sparse rows (CSR) and grouped values."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from kepipe.arrays import Floats, Ints

Matrix = sp.csr_array


def gather(matrix: Matrix, rows: Ints) -> tuple[Ints, Ints]:
    """All entries of some rows of a CSR matrix: the index into `rows` (0 … n − 1) and the column of each."""
    first = matrix.indptr[rows].astype(np.int64)
    counts = matrix.indptr[rows + 1].astype(np.int64) - first
    owners, within = expand(counts)
    return owners, matrix.indices[first[owners] + within].astype(np.int64)


def expand(counts: Ints) -> tuple[Ints, Ints]:
    """Group index 0, 0, 1, 1, 1 … and position within the group 0, 1, 0, 1, 2 … for counts 2, 3, …"""
    owners = np.repeat(np.arange(len(counts)), counts)
    starts = np.cumsum(counts) - counts
    return owners, np.arange(len(owners)) - starts[owners]


def sum_by(owners: Ints, values: Floats, count: int) -> Floats:
    """The sum of `values` for each owner 0 … count − 1."""
    return np.asarray(np.bincount(owners, values, minlength=count), np.float64)


def locate(sorted_values: Ints, values: Ints) -> Ints:
    """The index of each value in sorted distinct `sorted_values`, −1 if absent."""
    if not len(sorted_values):
        return np.full(len(values), -1)
    place = np.minimum(np.searchsorted(sorted_values, values), len(sorted_values) - 1)
    return np.where(sorted_values[place] == values, place, -1)
