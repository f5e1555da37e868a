"""Where in a text the names of a graph stand: Aho-Corasick over folded names, on the raw text.

All overlapping matches are found and filtered; choosing among those that overlap is left to `resolve`, once
their scores are known. (Leftmost-longest matching would lose "York" where "New Yorkshire" only seems to begin
a longer name.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from kg.lexicon import Lexicon
from kg.surface import align, fold, normalise

if TYPE_CHECKING:
    import ahocorasick_rs

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

OTHER, LETTER, UNSPACED = 0, 1, 2
"""Classes of characters. Between two letters there is no boundary; scripts without spaces have one everywhere."""


@dataclass(frozen=True)
class Matches:
    """M stretches of a text that are names, in order of start, then end, and their P candidates.

    `starts`, `ends`: [M] characters of the raw text; `surfaces`: [M] normalised. Candidate p belongs to match
    `owners[p]`, has row `rows[p]` in the graph and p(entity | name) `priors[p]`; candidates of a match stand
    together, likeliest first. `short` [P] marks candidates whose name is only a part of theirs (`shortforms`).
    """

    starts: Ints
    ends: Ints
    surfaces: Sequence[str]
    owners: Ints
    rows: Ints
    priors: Floats
    short: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.starts)


class Gazetteer:
    """The names of a lexicon, ready to be found. `limit`: no more candidates than this for one name."""

    def __init__(self, lexicon: Lexicon, min_length: int = 2, limit: int = 20) -> None:
        self.lexicon = lexicon
        self.min_length, self.limit = min_length, limit
        self._candidates: dict[tuple[int, str], tuple[list[int], list[float]]] = {}

    @cached_property
    def _automaton(self) -> ahocorasick_rs.AhoCorasick:
        from ahocorasick_rs import AhoCorasick, Implementation

        return AhoCorasick(
            self.lexicon.keys, store_patterns=False, implementation=Implementation.ContiguousNFA
        )

    def __getstate__(self) -> dict[str, Any]:
        """The automaton is built anew in another process."""
        return {
            "lexicon": self.lexicon,
            "min_length": self.min_length,
            "limit": self.limit,
            "_candidates": {},
        }

    def find(self, text: str) -> Matches:
        """All stretches of `text` that end and begin at boundaries and whose case allows a name."""
        normal, places = align(text)
        hits = self._automaton.find_matches_as_indexes(fold(normal), overlapping=True)
        keys, starts, ends = np.asarray(hits, np.int64).reshape(-1, 3).T
        classes = classify(normal)
        keep = boundary(classes, starts) & boundary(classes, ends) & (ends - starts >= self.min_length)
        keys, starts, ends = keys[keep], starts[keep], ends[keep]
        order = np.lexsort((ends, starts))
        return self._candidates_of(normal, keys[order], starts[order], ends[order], places)

    def _candidates_of(
        self, normal: str, keys: Ints, starts: Ints, ends: Ints, places: npt.NDArray[np.int32] | None
    ) -> Matches:
        kept: list[int] = []
        surfaces: list[str] = []
        owners: list[int] = []
        rows: list[int] = []
        priors: list[float] = []
        spans = zip(keys.tolist(), starts.tolist(), ends.tolist(), strict=True)
        for number, (key, start, end) in enumerate(spans):
            surface = normal[start:end]
            found_rows, found_priors = self._look_up(key, surface)
            if found_rows:
                owners += [len(kept)] * len(found_rows)
                rows += found_rows
                priors += found_priors
                kept.append(number)
                surfaces.append(surface)
        starts, ends = starts[kept], ends[kept]
        if places is not None:
            starts, ends = places[starts].astype(np.int64), places[ends].astype(np.int64)
        return Matches(
            starts,
            ends,
            surfaces,
            np.asarray(owners, np.int64),
            np.asarray(rows, np.int64),
            np.asarray(priors, np.float64),
            np.zeros(len(rows), np.bool_),
        )

    def _look_up(self, key: int, surface: str) -> tuple[list[int], list[float]]:
        """Candidates of a key as it is written here; names repeat, so the answer is kept."""
        known = self._candidates.get((key, surface))
        if known is None:
            found = self.lexicon.of_key(key, normalise(surface))[: self.limit]
            known = ([candidate.row for candidate in found], [candidate.prior for candidate in found])
            if len(self._candidates) < 1_000_000:
                self._candidates[key, surface] = known
        return known


_TABLED = 0x10000


def classify(text: str) -> npt.NDArray[np.uint8]:
    """The class of each character: uint8 [n] of OTHER, LETTER, UNSPACED."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    classes = _classes()[np.minimum(codes, _TABLED - 1)]
    for place in np.flatnonzero(codes >= _TABLED).tolist():
        classes[place] = _class_of(int(codes[place]))
    return classes


@cache
def _classes() -> npt.NDArray[np.uint8]:
    """The class of each character of the basic plane."""
    return np.fromiter(map(_class_of, range(_TABLED)), np.uint8, _TABLED)


def _class_of(code: int) -> int:
    if (
        0x3040 <= code <= 0x30FF
        or 0x3400 <= code <= 0x9FFF
        or 0x20000 <= code <= 0x3FFFF
        or 0xE00 <= code <= 0xEFF
    ):
        return UNSPACED  # kana, Han, Thai and Lao
    return LETTER if chr(code).isalnum() else OTHER


def boundary(classes: npt.NDArray[np.uint8], places: Ints) -> npt.NDArray[np.bool_]:
    """Whether a word may begin or end at `places`, 0 … n: anywhere but between two letters."""
    padded = np.concatenate(([OTHER], classes, [OTHER]))
    inside: npt.NDArray[np.bool_] = (padded[places] == LETTER) & (padded[places + 1] == LETTER)
    return ~inside
