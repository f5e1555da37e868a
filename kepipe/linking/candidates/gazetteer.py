"""Candidate generation: the spans of a text that are names of the graph, with the candidate entities of each.

All names are found, also overlapping ones; `decision.decide` chooses among them once they are scored.
(Leftmost-longest matching would lose "York" in "New Yorkshire", which only looks like the start of a longer name.)
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
    """The candidates of one surface: `number` entries from index `first`, of `Gazetteer._merged` if `merged`, else of
    the lexicon; `exact`: the surface equals the lexicon's name, up to simplified and traditional Chinese.
    """

    first: int
    number: int
    merged: bool
    exact: bool


_INVISIBLE = code_points(INVISIBLE)
_NO_ENTRIES = Entries(0, 0, False, False)
_CACHE_SIZE = 1_000_000


class Gazetteer:
    """Finds the names of a lexicon in texts. `limit`: maximum number of candidates of a name."""

    def __init__(
        self, lexicon: Lexicon, min_length: int = 2, limit: int = 20, matcher: Matcher | None = None
    ) -> None:
        self.lexicon = lexicon
        self.min_length, self.limit = min_length, limit
        self.matcher = Matcher.build(lexicon.keys) if matcher is None else matcher
        self._entries: dict[str, Entries] = {}
        self._merged = Merged()

    def find(self, text: str) -> Matches:
        """All spans of `text` between word boundaries that are a name, case included (capitals must be capitals)."""
        return self.find_all((text,))

    def find_all(self, texts: Sequence[str]) -> Matches:
        """The matches of several texts; offsets are those of the joined texts, one separator between (`TextBatch`)."""
        aligned = [align(text) for text in texts]
        normal = "\n".join(text for text, _ in aligned)
        lowered = "\n".join(lower(text) for text, _ in aligned)
        keys, starts, ends = self.matcher.find(simplify(lowered))
        is_lower = code_points(normal) == code_points(lowered)
        keep = ends - starts >= self.min_length
        keep &= ~(is_lower[starts] & self.lexicon.capitals[keys])  # "nice" is not Nice
        keys, starts, ends = keys[keep], starts[keep], ends[keep]
        surfaces = [normal[start:end] for start, end in zip(starts.tolist(), ends.tolist(), strict=True)]
        if any(places is not None for _, places in aligned):
            raw = _raw_offsets(texts, [places for _, places in aligned])
            starts, ends = raw[starts], _trim_invisible("\n".join(texts), raw[ends])
        return self._candidates_of(keys, surfaces, starts, ends)

    def _candidates_of(self, keys: Ints, surfaces: list[str], starts: Ints, ends: Ints) -> Matches:
        table = np.asarray(self._look_up(keys, surfaces), np.int64).reshape(-1, 4)
        kept = np.flatnonzero(table[:, 1])
        firsts, counts, merged, exact = table[kept].T
        owners = np.repeat(np.arange(len(kept)), counts)
        entries = np.arange(len(owners)) - (np.cumsum(counts) - counts - firsts)[owners]
        rows, priors, labels = self._entry_values(entries, merged[owners] > 0, exact[owners] > 0)
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

    def _entry_values(self, entries: Ints, merged: Bools, exact: Bools) -> tuple[Ints, Floats, Bools]:
        """Entity row, prior, and whether the surface is the label, of each entry: [P] each."""
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
        """The entries of each key for its surface in the text; cached by surface, since surfaces repeat."""
        lexicon, known = self.lexicon, self._entries
        new = {
            surface: key for key, surface in zip(keys.tolist(), surfaces, strict=True) if surface not in known
        }
        numbers = np.fromiter(new.values(), np.int64, len(new))
        first, stop = lexicon.key_starts[numbers], lexicon.key_starts[numbers + 1]
        begin = lexicon.name_starts[first]
        count = np.minimum(lexicon.name_starts[first + 1] - begin, self.limit)
        columns = (stop - first == 1).tolist(), lexicon.names_at(first), begin.tolist(), count.tolist()
        found = {
            surface: Entries(entry, number, False, True)
            if alone and surface == name
            else self._matching_entries(key, surface)
            for (surface, key), alone, name, entry, number in zip(new.items(), *columns, strict=True)
        }
        if len(known) + len(found) <= _CACHE_SIZE:
            known.update(found)
            return [known[surface] for surface in surfaces]
        return [known.get(surface) or found[surface] for surface in surfaces]

    def _matching_entries(self, key: int, surface: str) -> Entries:
        """The entries of a key that has several names, or whose only name is written unlike the surface."""
        lexicon, written = self.lexicon, normalise(surface)
        if fold(written) != lexicon.keys[key]:
            return _NO_ENTRIES  # a hash collision
        first, stop = lexicon.key_starts[key : key + 2].tolist()
        fitting = [place for place in range(first, stop) if fits_case(written, lexicon.names[place])]
        if not fitting:
            return _NO_ENTRIES
        if len(fitting) > 1:
            return self._merge(key, written, fitting)
        begin, end = lexicon.name_starts[fitting[0] : fitting[0] + 2].tolist()
        exact = simplify(written) == simplify(lexicon.names[fitting[0]])
        return Entries(begin, min(end - begin, self.limit), False, exact)

    def _merge(self, key: int, written: str, fitting: Sequence[int]) -> Entries:
        """The merged candidates of several names that the surface may be written for ("US" may be "us" too)."""
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
    """Concatenated candidate lists of surfaces that match several names of a key."""

    rows: list[int] = field(default_factory=list)
    priors: list[float] = field(default_factory=list)
    labels: list[bool] = field(default_factory=list)


def _raw_offsets(texts: Sequence[str], places: Sequence[Ints32 | None]) -> Ints:
    """For each character of the joined normalised texts, its offset in the joined raw texts."""
    return np.concatenate(
        [
            begin + (np.arange(len(text) + 1) if at is None else at)
            for text, begin, at in zip(texts, begins(texts)[:-1].tolist(), places, strict=True)
        ]
    )


def _trim_invisible(text: str, places: Ints) -> Ints:
    """End offsets moved to before any trailing invisible characters, which belong to no name."""
    visible = np.flatnonzero(~np.isin(code_points(text), _INVISIBLE))
    return visible[np.searchsorted(visible, places, "left") - 1] + 1
