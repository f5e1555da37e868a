"""Number ids in order of first occurrence: one at a time, or millions at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from kg.arrays import Ints, Ints32


class Numbering:
    """Maps ids to numbers 0, 1, 2, ….

    A dictionary for single ids, an Arrow array for blocks of ids; switching between the two copies all ids, which a
    source does at most once.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] | None = {}
        self._ids: Any = None
        """The ids in order as a pyarrow.LargeStringArray; None while only the dictionary is up to date."""

    @property
    def numbers(self) -> dict[str, int]:
        """Id → number, read-only."""
        if self._numbers is None:
            self._numbers = {id: number for number, id in enumerate(self._ids.to_pylist())}
        return self._numbers

    def __len__(self) -> int:
        return len(self._ids) if self._numbers is None else len(self._numbers)

    def __iter__(self) -> Iterator[str]:
        return iter(self.numbers)

    def add(self, id: str) -> int | None:
        """The number of a new id; None if it is already numbered."""
        numbers = self.numbers
        number = len(numbers)
        self._ids = None
        return number if numbers.setdefault(id, number) == number else None

    def add_all(self, *columns: Any) -> tuple[list[Ints32], Any, Ints]:
        """Number the ids in columns of equal length n, row by row: pyarrow.LargeStringArray each.

        Returns the numbers, int32 [n] for each column; the new ids in the order of their numbers, an Arrow array; and
        the row of the first occurrence of each.
        """
        import pyarrow

        if self._ids is None:
            self._ids = pyarrow.array(list(self.numbers), pyarrow.large_string())
        known = len(self._ids)
        # One hash table for all columns: known ids keep their numbers, new ones follow, column by column.
        coded = pyarrow.chunked_array([self._ids, *columns]).combine_chunks().dictionary_encode()
        ids, numbers = coded.dictionary, coded.indices.to_numpy()[known:].reshape(len(columns), -1)
        place = _first_places(numbers, known, len(ids))
        order = np.argsort(place)
        rank = np.empty(len(order), np.int32)
        rank[order] = np.arange(known, len(ids), dtype=np.int32)
        final = np.concatenate([np.arange(known, dtype=np.int32), rank])
        new = ids[known:].take(pyarrow.array(order))
        self._ids = pyarrow.concat_arrays([self._ids, new])
        self._numbers = None
        return list(final[numbers]), new, place[order] // len(columns)


def _first_places(numbers: Ints32, known: int, total: int) -> Ints:
    """The first occurrence of each number ≥ `known` in columns [C, n], row by row: int64 [total − known]."""
    first = np.full(total, np.iinfo(np.int64).max)
    for column, found in enumerate(numbers):
        # Written backwards, so that the first occurrence is kept.
        here = np.full(total, np.iinfo(np.int64).max)
        here[found[::-1]] = np.arange(len(found) - 1, -1, -1) * len(numbers) + column
        np.minimum(first, here, out=first)
    return first[known:]
