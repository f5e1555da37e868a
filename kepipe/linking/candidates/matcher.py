"""Multi-pattern string matching: finds names in a text by rolling hashes over token sequences.

A token is a run of letters and digits, or any other single character, so every boundary at which a name may start or
end lies between two tokens. The hash of the characters a … b − 1 is Σ c_i · B^(i − a + 1) mod 2^64 (Karp and Rabin
1987), so that one running sum gives the hash of any span. Spans are extended from each token, token by token and
vectorised over the text, as long as the span is a prefix of some name: a trie whose nodes are looked up by hash.

Unlike an Aho-Corasick automaton, the table opens memory-mapped at once, and no name is found inside a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kepipe.arrays import Bools, Hashes, Ints, Ints32
from kepipe.linking.text.characters import LETTER, classify, code_points
from kg.columns import load, save

BASE = 0x9E3779B97F4A7C15
"""B is odd, so that it has an inverse; if the hashes of two names collide, the next odd number is tried."""
_BLOCK = 65_536
_COLUMNS = ("hashes", "keys", "longer", "buckets")


@dataclass(frozen=True)
class Matcher:
    """Hash table of the prefixes of names: `hashes` [H], ascending; `keys` [H], the index of the name equal to the
    prefix, −1 none; `longer` [H], whether it is a proper prefix of a name; `buckets` [2^k + 1], offsets into `hashes`
    by their first k bits.
    """

    base: int
    hashes: Hashes
    keys: Ints32
    longer: Bools
    buckets: Ints32

    @classmethod
    def build(cls, names: Sequence[str], base: int = BASE) -> Matcher:
        """Index distinct folded names; keys are indices into `names`."""
        empty = np.zeros(0, np.uint64), np.zeros(0, np.int32)
        parts = [empty, *(_prefixes(names, first, base) for first in range(0, len(names), _BLOCK))]
        hashes, keys = (np.concatenate(column) for column in zip(*parts, strict=True))
        order = np.argsort(hashes)
        hashes, keys = hashes[order], keys[order]
        new = np.ones(len(hashes), np.bool_)
        new[1:] = hashes[1:] != hashes[:-1]
        first = np.flatnonzero(new)
        ending = np.maximum.reduceat(keys, first) if len(first) else keys
        if np.count_nonzero(ending >= 0) < len(names):
            return cls.build(names, base + 2)
        longer = np.minimum.reduceat(keys, first) < 0 if len(first) else keys < 0
        hashes, bits = hashes[first], max(len(first).bit_length(), 1)
        bounds = np.arange(1, 1 << bits, dtype=np.uint64) << np.uint64(64 - bits)
        buckets = np.concatenate(([0], np.searchsorted(hashes, bounds), [len(hashes)])).astype(np.int32)
        return cls(base, hashes, ending, longer, buckets)

    def find(self, folded: str) -> tuple[Ints, Ints, Ints]:
        """Key, start and end of every name in a folded text, sorted by start, then end."""
        codes = code_points(folded)
        bounds = boundaries(codes)
        power, inverse = _powers(self.base, _round_up(len(codes)))
        sums = _sums(codes, power)
        token = np.flatnonzero(codes[bounds[:-1]] != ord(" "))  # no name starts with a space
        last = token
        found: list[tuple[Ints, Ints, Ints]] = []
        while len(token):
            start, end = bounds[token], bounds[last + 1]
            place = self._find_hashes((sums[end] - sums[start]) * inverse[start])
            known = np.flatnonzero(place >= 0)
            place, token, last, start, end = (column[known] for column in (place, token, last, start, end))
            key = self.keys[place]
            ends = np.flatnonzero(key >= 0)
            found.append((key[ends].astype(np.int64), start[ends], end[ends]))
            on = np.flatnonzero(self.longer[place] & (last + 2 < len(bounds)))
            token, last = token[on], last[on] + 1
        keys, starts, ends = (
            np.concatenate(column) for column in zip((np.zeros(0, np.int64),) * 3, *found, strict=True)
        )
        order = np.lexsort((ends, starts))
        return keys[order], starts[order], ends[order]

    def _find_hashes(self, hashes: Hashes) -> Ints:
        """The index of each hash in `self.hashes`, −1 if absent."""
        bits = len(self.buckets).bit_length() - 1
        bucket = (hashes >> np.uint64(64 - bits)).astype(np.int64)
        at, stop = self.buckets[bucket].astype(np.int64), self.buckets[bucket + 1]
        places = np.full(len(hashes), -1, np.int64)
        left = np.flatnonzero(at < stop)
        while len(left):
            same = self.hashes[at[left]] == hashes[left]
            places[left[same]] = at[left[same]]
            left = left[~same]
            at[left] += 1
            left = left[at[left] < stop[left]]
        return places

    def save(self, folder: Path) -> None:
        """Write the columns into `folder`, which is created."""
        folder.mkdir(parents=True, exist_ok=True)
        save(folder, "base", np.asarray([self.base], np.uint64))
        for name in _COLUMNS:
            save(folder, name, getattr(self, name))

    @classmethod
    def open(cls, folder: Path) -> Matcher:
        """The matcher that `save` wrote, memory-mapped."""
        return cls(int(load(folder, "base")[0]), **{name: load(folder, name) for name in _COLUMNS})


def boundaries(codes: npt.NDArray[np.uint32]) -> Ints:
    """Offsets of the starts of tokens and of the end of the text: everywhere but between two letters."""
    letter = classify(codes) == LETTER
    inner = np.flatnonzero(~(letter[1:] & letter[:-1])) + 1
    return np.concatenate(([0], inner, [len(codes)])) if len(codes) else np.zeros(1, np.int64)


def _prefixes(names: Sequence[str], first: int, base: int) -> tuple[Hashes, Ints32]:
    """Hashes of all token prefixes of a block of names, and the name's index where the prefix is all of it, else −1."""
    block = list(names[first : first + _BLOCK])
    codes = code_points("\n".join(chain(block, ("",))))
    lengths = np.fromiter(map(len, block), np.int64, len(block))
    begins = np.cumsum(lengths + 1) - lengths - 1
    ends = boundaries(codes)[1:]
    name = np.searchsorted(begins, ends, "left") - 1  # of the line break after a name: the name before it
    start, stop = begins[name], begins[name] + lengths[name]
    inside = ends <= stop
    ends, start, stop, name = ends[inside], start[inside], stop[inside], name[inside]
    power, inverse = _powers(base, _round_up(len(codes)))
    sums = _sums(codes, power)
    return (sums[ends] - sums[start]) * inverse[start], np.where(ends == stop, name + first, -1).astype(
        np.int32
    )


def _sums(codes: npt.NDArray[np.uint32], power: Hashes) -> Hashes:
    """Prefix sums of c_i · B^(i + 1): [n + 1]."""
    sums = np.zeros(len(codes) + 1, np.uint64)
    np.cumsum(codes * power[: len(codes)], out=sums[1:])
    return sums


@lru_cache(maxsize=2)
def _powers(base: int, size: int) -> tuple[Hashes, Hashes]:
    """B^1 … B^size, and B^0 … B^−size, modulo 2^64."""
    power = np.multiply.accumulate(np.full(size, base, np.uint64))
    inverse = np.multiply.accumulate(np.full(size + 1, pow(base, -1, 1 << 64), np.uint64))
    return power, np.concatenate((np.ones(1, np.uint64), inverse[:-1]))


def _round_up(size: int) -> int:
    """The next power of two, so that few tables of powers are computed."""
    return 1 << max(size, 1 << 12).bit_length()
