"""Alias → the entities it may mean, with priors: what a linker matches text against.

A *key* is a unique folded name; keys are sorted, and are the patterns that a matcher searches in folded text. Each key
has *names*, the spellings in the graph ("US" and "us"), each with its entities. Everything is stored in flat columns,
built in memory or opened memory-mapped.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from kg.arrays import Bools, Floats, Ints, Ints32
from kg.columns import Strings, load, offsets, save, save_strings
from kg.store import Graph
from kg.surface import fits_case, fold, lower, normalise

ALIAS_WEIGHT = 0.2
"""The weight of an alias relative to a label."""


Variants = Callable[[int, Sequence[str]], Iterable[str]]
"""(row of an entity, its names with the label first) → name variants that the graph does not list."""
VARIANT_WEIGHT = 0.1


class Candidate(NamedTuple):
    """A candidate entity of a name: its row in the graph, and its prior p(entity | name)."""

    row: int
    prior: float


@dataclass(frozen=True)
class Lexicon:
    """`keys` [K], `key_starts` [K + 1] into `names` [N], `name_starts` [N + 1] into the entries [P].

    An entry is an entity (`rows`) under a name, with its weight, its share of the name's total weight (`shares`), and
    whether the name is its label (`labels`); entries of a name are sorted by falling weight. `capitals` [K]: whether
    all names of the key begin with a capital.
    """

    keys: Sequence[str]
    key_starts: Ints
    names: Sequence[str]
    name_starts: Ints
    rows: Ints32
    weights: Floats
    shares: Floats
    labels: Bools
    capitals: Bools

    @classmethod
    def build(
        cls, graph: Graph, alias_weight: float = ALIAS_WEIGHT, variants: Variants | None = None
    ) -> Lexicon:
        """Index all labels and aliases of a graph, and the `variants` of each entity's names.

        The weight of an entity under a name is `1 + prior` (or 1 + degree if the graph has no priors), times
        `alias_weight` for an alias or `VARIANT_WEIGHT` for a variant; p(entity | name) is its share.
        """
        written, rows, weights, labels = _entries(graph, alias_weight, variants)
        numbers: dict[str, int] = {}
        number = np.fromiter(
            (numbers.setdefault(name, len(numbers)) for name in written), np.int64, len(written)
        )
        distinct = list(numbers)
        folded = list(map(fold, distinct))
        together = [f"{key}\0{name}" for key, name in zip(folded, distinct, strict=True)]
        order = sorted(range(len(distinct)), key=together.__getitem__)  # by key, then name
        names = [distinct[place] for place in order]
        of_name = [folded[place] for place in order]
        new = [place for place, key in enumerate(of_name) if not place or key != of_name[place - 1]]
        keys = [of_name[place] for place in new]
        capital = np.fromiter((lower(name[0]) != name[0] for name in names), np.bool_, len(names))
        rank = np.empty(len(distinct), np.int64)
        rank[order] = np.arange(len(distinct))
        entries = np.lexsort((rows, -weights, rank[number]))
        name_starts = offsets(np.bincount(rank[number], minlength=len(names)))
        weights = weights[entries]
        totals = np.add.reduceat(weights, name_starts[:-1]) if len(names) else weights
        return cls(
            keys,
            np.asarray([*new, len(names)], np.int64),
            names,
            name_starts,
            rows[entries],
            weights,
            weights / np.repeat(totals, np.diff(name_starts)),
            labels[entries],
            np.logical_and.reduceat(capital, new) if new else capital,
        )

    def __len__(self) -> int:
        """The number of keys."""
        return len(self.keys)

    def __iter__(self) -> Iterator[str]:
        """All keys in sorted order: the patterns of a matcher, whose pattern index is the key's index."""
        return iter(self.keys)

    def candidates(self, surface: str) -> list[Candidate]:
        """The candidates of `surface`, a span of raw text, most probable first; [] if it is unknown."""
        name = normalise(surface)
        key = fold(name)
        number = bisect_left(self.keys, key)
        if number == len(self.keys) or self.keys[number] != key:
            return []
        return self.of_key(number, name)

    def names_at(self, places: Ints) -> list[str]:
        """The names with these indices."""
        names = self.names
        return names.take(places) if isinstance(names, Strings) else [names[at] for at in places.tolist()]

    def of_key(self, number: int, name: str) -> list[Candidate]:
        """The candidates of key `number` for the surface form `name` (normalised), most probable first.

        Only names of the graph whose case matches are considered (`kg.surface.fits_case`): "nice" has no candidates if
        the graph has only Nice.
        """
        weights: dict[int, float] = {}
        for place in range(self.key_starts[number], self.key_starts[number + 1]):
            if fits_case(name, self.names[place]):
                found = slice(self.name_starts[place], self.name_starts[place + 1])
                for row, weight in zip(self.rows[found].tolist(), self.weights[found].tolist(), strict=True):
                    weights[row] = max(weight, weights.get(row, 0.0))
        total = sum(weights.values())
        ranked = sorted(weights.items(), key=lambda item: (-item[1], item[0]))
        return [Candidate(row, weight / total) for row, weight in ranked]

    def save(self, folder: Path) -> None:
        """Write the columns into `folder`, which is created."""
        folder.mkdir(parents=True, exist_ok=True)
        save_strings(folder, "keys", self.keys)
        save_strings(folder, "names", self.names)
        for name in _COLUMNS:
            save(folder, name, getattr(self, name))

    @classmethod
    def open(cls, folder: Path) -> Lexicon:
        """The lexicon that `save` wrote, memory-mapped."""
        columns = {name: load(folder, name) for name in _COLUMNS}
        return cls(keys=Strings.load(folder, "keys"), names=Strings.load(folder, "names"), **columns)


_COLUMNS = ("key_starts", "name_starts", "rows", "weights", "shares", "labels", "capitals")


def _entries(
    graph: Graph, alias_weight: float, variants: Variants | None
) -> tuple[list[str], Ints32, Floats, Bools]:
    """Name, row, weight, and whether it is the label, of each distinct name of each entity."""
    prior = 1.0 + (graph.prior if graph.prior.any() else graph.degrees)
    names: list[str] = []
    counts: list[int] = []
    factors: list[float] = []
    aliases, starts = iter(graph.alias_strings), graph.alias_starts.tolist()
    for row, label in enumerate(graph.labels):
        written = {normalise(label): 1.0}
        for alias in islice(aliases, starts[row + 1] - starts[row]):
            written.setdefault(normalise(alias), alias_weight)
        if variants is not None:
            for variant in list(variants(row, list(written))):
                written.setdefault(normalise(variant), VARIANT_WEIGHT)
        written.pop("", None)
        names += written
        factors += written.values()
        counts.append(len(written))
    rows = np.repeat(np.arange(len(counts), dtype=np.int32), counts)
    factor = np.asarray(factors, np.float64)
    return names, rows, prior[rows] * factor, factor == 1.0
