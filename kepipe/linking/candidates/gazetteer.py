"""Where in texts the names of a graph stand, and what each may mean.

All overlapping names are found; choosing among those that overlap is left to `resolve`, once their scores are known.
(Leftmost-longest matching would lose "York" where "New Yorkshire" only seems to begin a longer name.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from kepipe.arrays import Bools, Floats, Ints, Ints32
from kepipe.linking.candidates.matcher import Matcher
from kepipe.linking.candidates.matches import Matches
from kepipe.linking.text.batch import begins
from kepipe.linking.text.characters import code_points
from kg.lexicon import Lexicon
from kg.surface import INVISIBLE, align, fits_case, fold, lower, normalise, simplify


class Entries(NamedTuple):
    """The candidates of one surface: `number` entries from `first` on, of the lexicon, or of `Gazetteer._merged`
    where `merged`; `exact`: the surface is written as the lexicon's name, in either Chinese script.
    """

    first: int
    number: int
    merged: bool
    exact: bool


_INVISIBLE = code_points(INVISIBLE)
_NOTHING = Entries(0, 0, False, False)
_KEPT = 1_000_000


class Gazetteer:
    """The names of a lexicon, ready to be found. `limit`: no more candidates than this for one name."""

    def __init__(
        self, lexicon: Lexicon, min_length: int = 2, limit: int = 20, matcher: Matcher | None = None
    ) -> None:
        self.lexicon = lexicon
        self.min_length, self.limit = min_length, limit
        self.matcher = Matcher.build(lexicon.keys) if matcher is None else matcher
        self._entries: dict[str, Entries] = {}
        self._merged = Merged()

    def find(self, text: str) -> Matches:
        """All stretches of `text` that end and begin at boundaries and whose case allows a name."""
        return self.find_all((text,))

    def find_all(self, texts: Sequence[str]) -> Matches:
        """Those of several texts, in characters of the texts laid end to end, one between (`TextBatch`)."""
        aligned = [align(text) for text in texts]
        normal = "\n".join(text for text, _ in aligned)
        lowered = "\n".join(lower(text) for text, _ in aligned)
        keys, starts, ends = self.matcher.find(simplify(lowered))
        small = code_points(normal) == code_points(lowered)
        keep = ends - starts >= self.min_length
        keep &= ~(small[starts] & self.lexicon.capitals[keys])  # "nice" is not Nice
        keys, starts, ends = keys[keep], starts[keep], ends[keep]
        surfaces = [normal[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
        if any(places is not None for _, places in aligned):
            raw = _raw_places(texts, [places for _, places in aligned])
            starts, ends = raw[starts], _after_visible("\n".join(texts), raw[ends])
        return self._candidates_of(keys, surfaces, starts, ends)

    def _candidates_of(self, keys: Ints, surfaces: list[str], starts: Ints, ends: Ints) -> Matches:
        table = np.asarray(self._look_up(keys, surfaces), np.int64).reshape(-1, 4)
        kept = np.flatnonzero(table[:, 1])
        firsts, counts, merged, exact = table[kept].T
        owners = np.repeat(np.arange(len(kept)), counts)
        entries = np.arange(len(owners)) - (np.cumsum(counts) - counts - firsts)[owners]
        rows, priors, labels = self._read(entries, merged[owners] > 0, exact[owners] > 0)
        return Matches(
            starts[kept],
            ends[kept],
            [surfaces[place] for place in kept.tolist()],
            owners,
            rows,
            priors,
            labels,
            np.zeros(len(rows), np.int8),
            np.zeros(len(kept), np.bool_),
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

    def _look_up(self, keys: Ints, surfaces: Sequence[str]) -> list[Entries]:
        """The entries of each key as it is written here; surfaces repeat, so answers are kept."""
        lexicon, known = self.lexicon, self._entries
        new = {
            surface: key for key, surface in zip(keys.tolist(), surfaces, strict=True) if surface not in known
        }
        numbers = np.fromiter(new.values(), np.int64, len(new))
        first, stop = lexicon.key_starts[numbers], lexicon.key_starts[numbers + 1]
        begin = lexicon.name_starts[first]
        count = np.minimum(lexicon.name_starts[first + 1] - begin, self.limit)
        columns = (stop - first == 1).tolist(), lexicon.names_at(first), begin.tolist(), count.tolist()
        fresh = {
            surface: Entries(entry, number, False, True)
            if alone and surface == name
            else self._fit(key, surface)
            for (surface, key), alone, name, entry, number in zip(new.items(), *columns, strict=True)
        }
        if len(known) + len(fresh) <= _KEPT:
            known.update(fresh)
            return [known[surface] for surface in surfaces]
        return [known.get(surface) or fresh[surface] for surface in surfaces]

    def _fit(self, key: int, surface: str) -> Entries:
        """The entries of one key where the surface is not just the key's only name."""
        lexicon, written = self.lexicon, normalise(surface)
        if fold(written) != lexicon.keys[key]:
            return _NOTHING  # another text of the same hash
        first, stop = lexicon.key_starts[key : key + 2].tolist()
        fitting = [place for place in range(first, stop) if fits_case(written, lexicon.names[place])]
        if not fitting:
            return _NOTHING
        if len(fitting) > 1:
            return self._merge(key, written, fitting)
        begin, end = lexicon.name_starts[fitting[0] : fitting[0] + 2].tolist()
        exact = simplify(written) == simplify(lexicon.names[fitting[0]])
        return Entries(begin, min(end - begin, self.limit), False, exact)

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


def _raw_places(texts: Sequence[str], places: Sequence[Ints32 | None]) -> Ints:
    """Where on the batch of raw texts each character of the batch of aligned ones came from."""
    return np.concatenate(
        [
            begin + (np.arange(len(text) + 1) if at is None else at)
            for text, begin, at in zip(texts, begins(texts)[:-1].tolist(), places, strict=True)
        ]
    )


def _after_visible(text: str, places: Ints) -> Ints:
    """Places that stand behind invisible characters moved to before them: they belong to no name that ends there."""
    visible = np.flatnonzero(~np.isin(code_points(text), _INVISIBLE))
    return visible[np.searchsorted(visible, places, "left") - 1] + 1
