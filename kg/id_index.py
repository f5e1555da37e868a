"""Id → row: sorted, memory-mapped hashes, so that a look-up reads only a few entries of a table of any size."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from mmap import mmap
from typing import Self

import numpy as np

from kg.arrays import Hashes, Ints, Ints32
from kg.columns import Strings


@dataclass(frozen=True)
class IdIndex:
    """The ids by row, with their index: `hashes` uint64 [n], sorted, and `rows` int32 [n], the row of each."""

    ids: Strings
    hashes: Hashes
    rows: Ints32

    @classmethod
    def of(cls, ids: Strings) -> Self:
        """Hash and sort; of equal hashes the first row comes first."""
        hashes = hash_ids(ids.encoded())
        order = np.argsort(hashes, kind="stable").astype(np.int32)
        return cls(ids, hashes[order], order)

    def find(self, id: str) -> int:
        """The row of an id, −1 if unknown."""
        key = _hash(id.encode())
        place = search(self.hashes, int.from_bytes(key, "little"))
        while place < len(self.hashes) and self.hashes[place].tobytes() == key:
            row = int(self.rows[place])
            if self.ids[row] == id:
                return row
            place += 1
        return -1

    def find_all(self, ids: Iterable[str]) -> Ints:
        """The rows of several ids, −1 if unknown: int64 [n]."""
        asked = list(ids)
        if not asked or not len(self.hashes):
            return np.full(len(asked), -1, np.int64)
        keys = hash_ids(id.encode() for id in asked)
        places = np.minimum(np.searchsorted(self.hashes, keys), len(self.hashes) - 1)
        found = np.where(self.hashes[places] == keys, self.rows[places], -1).astype(np.int64)
        # Another id may have the same hash: a look-up decides.
        for place, (row, id) in enumerate(zip(found.tolist(), asked, strict=True)):
            if row >= 0 and self.ids[row] != id:
                found[place] = self.find(id)
        return found


def hash_ids(ids: Iterable[bytes | mmap]) -> Hashes:
    """The hashes of UTF-8 ids: 8 bytes of BLAKE2b each, equal on all machines: uint64 [n]."""
    # One join, since converting five million Python integers would take seconds.
    return np.frombuffer(b"".join(map(_hash, ids)), "<u8")


def _hash(id: bytes | mmap) -> bytes:
    return blake2b(id, digest_size=8).digest()


def search(hashes: Hashes, key: int) -> int:
    """The first place whose hash is not below `key`, found by interpolation.

    Hashes are uniformly distributed, so the first guess is off by about √n, and the third by a few tens. A binary
    search would touch pages all over the file.
    """
    total = len(hashes)
    place = key * total >> 64
    for _ in range(2):
        if not 0 <= place < total:
            break
        place += (key - int(hashes[place])) * total >> 64
    place, reach = min(max(place, 0), total), 32
    while True:
        begin, end = max(place - reach, 0), min(place + reach, total)
        found = begin + int(hashes[begin:end].searchsorted(np.uint64(key)))
        # At an end of the range, the key may be outside of it.
        if (begin < found or begin == 0) and (found < end or end == total):
            return found
        reach *= 8
