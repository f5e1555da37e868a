"""Texts of entities, collected in any order and stored on disk until each entity is written as a whole."""

from __future__ import annotations

import mmap
import tempfile
from array import array

import numpy as np

from kg.columns import offsets
from kg.sources.vocabularies import Role

KINDS = {
    Role.NAME: "l", Role.ALIAS: "a", Role.DESCRIPTION: "d", Role.TYPE: "t", Role.FURTHER_ID: "i",
}  # fmt: skip
"""The role of a text → the kind of its record."""
Record = tuple[str, int, str]
"""Kind (one ASCII letter), rank (0 … 255, 0 the best), text."""


class Gathered:
    """Records of numbered owners in a temporary file: 12 bytes of memory per record, whatever its length."""

    def __init__(self) -> None:
        # Kept open as long as this object exists.
        self._stream = tempfile.TemporaryFile()  # noqa: SIM115
        self._owners, self._lengths = array("i"), array("q")

    def add(self, owner: int, kind: str, rank: int, text: str) -> None:
        """Add a record of `owner`."""
        data = kind.encode() + bytes((rank,)) + text.encode()
        self._stream.write(data)
        self._owners.append(owner)
        self._lengths.append(len(data))

    def seal(self, owners: int) -> None:
        """Sort the records by owner, 0 … owners − 1. To be called after the last `add` and before the first `of`."""
        self._stream.flush()
        self._ends = offsets(np.frombuffer(self._lengths, np.int64))
        empty = not self._ends[-1]  # an empty file cannot be mapped
        self._data = b"" if empty else mmap.mmap(self._stream.fileno(), 0, access=mmap.ACCESS_READ)
        by = np.frombuffer(self._owners, np.int32)
        self._order = np.argsort(by, kind="stable")
        self._starts = offsets(np.bincount(by, minlength=owners))

    def of(self, owner: int) -> list[Record]:
        """The records of `owner`, by rank, best first; records of equal rank in the order of `add`."""
        records = []
        for place in self._order[self._starts[owner] : self._starts[owner + 1]].tolist():
            data = self._data[self._ends[place] : self._ends[place + 1]]
            records.append((chr(data[0]), data[1], data[2:].decode()))
        return sorted(records, key=lambda record: record[1])
