"""Where in a text the names of a graph stand: Aho-Corasick over folded names, on the raw text.

All overlapping matches are found and filtered; choosing among those that overlap is left to `resolve`, once
their scores are known. (Leftmost-longest matching would lose "York" where "New Yorkshire" only seems to begin
a longer name.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from kg.lexicon import Lexicon
from kg.surface import align, fits_case, lower, normalise, simplify

if TYPE_CHECKING:
    import ahocorasick_rs

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

OTHER, LETTER, UNSPACED = 0, 1, 2
"""Classes of characters. Between two letters there is no boundary; scripts without spaces have one everywhere."""


@dataclass(frozen=True)
class Matches:
    """M stretches of a text that are names, in order of start, then end, and their P candidates.

    `starts`, `ends`: [M] characters of the raw text; `surfaces`: [M] normalised. Candidate p belongs to match
    `owners[p]`, has row `rows[p]` in the graph and p(entity | name) `priors[p]`; candidates of a match stand
    together, likeliest first. `labels` [P]: the surface is the label of the candidate; `short` [P]: it is only a part
    of the candidate's name (`shortforms`).
    """

    starts: Ints
    ends: Ints
    surfaces: Sequence[str]
    owners: Ints
    rows: Ints
    priors: Floats
    labels: npt.NDArray[np.bool_]
    short: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.starts)


class Entries(NamedTuple):
    """The candidates of one surface: `number` entries from `first` on, of the lexicon, or of `Gazetteer._merged`
    where `merged`; `exact`: the surface is written as the lexicon's name, in either Chinese script.
    """

    first: int
    number: int
    merged: bool
    exact: bool


_NOTHING = Entries(0, 0, False, False)
_KEPT = 1_000_000


class Gazetteer:
    """The names of a lexicon, ready to be found. `limit`: no more candidates than this for one name."""

    def __init__(self, lexicon: Lexicon, min_length: int = 2, limit: int = 20) -> None:
        self.lexicon = lexicon
        self.min_length, self.limit = min_length, limit
        self._entries: dict[str, Entries] = {}
        self._merged = Merged()

    @cached_property
    def _automaton(self) -> ahocorasick_rs.AhoCorasick:
        from ahocorasick_rs import AhoCorasick, Implementation

        return AhoCorasick(
            self.lexicon.keys, store_patterns=False, implementation=Implementation.ContiguousNFA
        )

    def __reduce__(self) -> tuple[type[Gazetteer], tuple[Lexicon, int, int]]:
        """The automaton is built anew in another process."""
        return Gazetteer, (self.lexicon, self.min_length, self.limit)

    def find(self, text: str) -> Matches:
        """All stretches of `text` that end and begin at boundaries and whose case allows a name."""
        normal, places = align(text)
        lowered = lower(normal)
        hits = self._automaton.find_matches_as_indexes(simplify(lowered), overlapping=True)
        keys, starts, ends = np.fromiter(chain.from_iterable(hits), np.int64).reshape(-1, 3).T
        codes = code_points(normal)
        classes = classify(codes)
        keep = boundary(classes, starts) & boundary(classes, ends) & (ends - starts >= self.min_length)
        small = codes == code_points(lowered)
        keep &= ~(small[starts] & self.lexicon.capitals[keys])  # "nice" is not Nice
        keys, starts, ends = keys[keep], starts[keep], ends[keep]
        order = np.lexsort((ends, starts))
        return self._candidates_of(normal, keys[order], starts[order], ends[order], places)

    def _candidates_of(
        self, normal: str, keys: Ints, starts: Ints, ends: Ints, places: npt.NDArray[np.int32] | None
    ) -> Matches:
        known = self._entries
        surfaces = [normal[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
        found = [
            known.get(surface) or self._look_up(key, surface)
            for key, surface in zip(keys.tolist(), surfaces, strict=True)
        ]
        table = np.asarray(found, np.int64).reshape(-1, 4)
        kept = np.flatnonzero(table[:, 1])
        firsts, counts, merged, exact = table[kept].T
        owners = np.repeat(np.arange(len(kept)), counts)
        entries = np.arange(len(owners)) - (np.cumsum(counts) - counts - firsts)[owners]
        rows, priors, labels = self._read(entries, merged[owners] > 0, exact[owners] > 0)
        starts, ends = starts[kept], ends[kept]
        if places is not None:
            starts, ends = places[starts].astype(np.int64), places[ends].astype(np.int64)
        return Matches(
            starts,
            ends,
            [surfaces[place] for place in kept.tolist()],
            owners,
            rows,
            priors,
            labels,
            np.zeros(len(rows), np.bool_),
        )

    def _read(self, entries: Ints, merged: Bools, exact: Bools) -> tuple[Ints, Floats, Bools]:
        """Row, prior, and whether the surface is the label, of each entry [P]."""
        lexicon = self.lexicon
        if not merged.any():
            return (
                lexicon.rows[entries].astype(np.int64),
                lexicon.shares[entries],
                lexicon.labels[entries] & exact,
            )
        own = np.where(merged, 0, entries)
        rows, priors, labels = (
            lexicon.rows[own].astype(np.int64),
            lexicon.shares[own],
            lexicon.labels[own] & exact,
        )
        places = entries[merged].tolist()
        rows[merged] = [self._merged.rows[place] for place in places]
        priors[merged] = [self._merged.priors[place] for place in places]
        labels[merged] = [self._merged.labels[place] for place in places]
        return rows, priors, labels

    def _look_up(self, key: int, surface: str) -> Entries:
        """The entries of a key as it is written here; surfaces repeat, so the answer is kept."""
        lexicon, written = self.lexicon, normalise(surface)
        first, stop = lexicon.key_starts[key : key + 2].tolist()
        fitting = [place for place in range(first, stop) if fits_case(written, lexicon.names[place])]
        if not fitting:
            found = _NOTHING
        elif len(fitting) == 1:
            begin, end = lexicon.name_starts[fitting[0] : fitting[0] + 2].tolist()
            found = Entries(
                begin,
                min(end - begin, self.limit),
                False,
                simplify(written) == simplify(lexicon.names[fitting[0]]),
            )
        else:
            found = self._merge(key, written, fitting)
        if len(self._entries) < _KEPT:
            self._entries[surface] = found
        return found

    def _merge(self, key: int, written: str, fitting: Sequence[int]) -> Entries:
        """Several names fit ("US" in capitals may be "us" too): their candidates ranked together."""
        lexicon, merged = self.lexicon, self._merged
        labelled = {
            int(lexicon.rows[entry])
            for place in fitting
            if simplify(lexicon.names[place]) == simplify(written)
            for entry in range(lexicon.name_starts[place], lexicon.name_starts[place + 1])
            if lexicon.labels[entry]
        }
        candidates = lexicon.of_key(key, written)[: self.limit]
        first = len(merged.rows)
        merged.rows += [candidate.row for candidate in candidates]
        merged.priors += [candidate.prior for candidate in candidates]
        merged.labels += [candidate.row in labelled for candidate in candidates]
        return Entries(first, len(candidates), True, True)


@dataclass
class Merged:
    """Candidates of surfaces that several names of a key fit, one list after the other."""

    rows: list[int] = field(default_factory=list)
    priors: list[float] = field(default_factory=list)
    labels: list[bool] = field(default_factory=list)


_TABLED = 0x10000


def code_points(text: str) -> npt.NDArray[np.uint32]:
    """The characters of a text as numbers: uint32 [n]."""
    return np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)


def classify(codes: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint8]:
    """The class of each character: uint8 [n] of OTHER, LETTER, UNSPACED."""
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
