"""Alias → the entities it may mean, with priors: what a linker matches text against.

A *key* is a folded name, unique, in sorted order: the pattern a matcher searches in folded text. Under a key
stand its *names*, the ways in which the graph writes it ("US" and "us"), each with its entities. Everything
is held in flat columns, built in memory or opened memory-mapped.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kg.columns import Strings, load, save, save_strings
from kg.store import Graph
from kg.surface import fits_case, fold, normalise

ALIAS_WEIGHT = 0.2
"""A name that is only an alias of an entity counts this much of one that is its label."""


Variants = Callable[[Sequence[str]], Iterable[str]]
"""The names of an entity, its label first → further names that they imply."""
VARIANT_WEIGHT = 0.1


class Candidate(NamedTuple):
    """An entity that a name may mean: its row in the graph, and p(entity | name)."""

    row: int
    prior: float


@dataclass(frozen=True)
class Lexicon:
    """`keys` [K], `key_starts` [K + 1] into `names` [N], `name_starts` [N + 1] into `rows` and `weights`."""

    keys: Sequence[str]
    key_starts: npt.NDArray[np.int64]
    names: Sequence[str]
    name_starts: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float64]

    @classmethod
    def build(
        cls, graph: Graph, alias_weight: float = ALIAS_WEIGHT, variants: Variants | None = None
    ) -> Lexicon:
        """Read all labels and aliases of a graph, and the `variants` of each entity's names.

        The weight of an entity under a name is `1 + prior` (or 1 + degree where the graph has no priors)
        times `alias_weight` where the name is not its label (`VARIANT_WEIGHT` for a variant); p(entity | name)
        is its share.
        """
        entries = _entries(graph, alias_weight, variants)
        keys: list[str] = []
        names: list[str] = []
        key_starts: list[int] = []
        name_starts: list[int] = []
        for place, (key, name, _, _) in enumerate(entries):
            new_key = not keys or key != keys[-1]
            if new_key:
                keys.append(key)
                key_starts.append(len(names))
            if new_key or name != names[-1]:
                names.append(name)
                name_starts.append(place)
        return cls(
            keys,
            np.asarray([*key_starts, len(names)], np.int64),
            names,
            np.asarray([*name_starts, len(entries)], np.int64),
            np.fromiter((entry[2] for entry in entries), np.int32, len(entries)),
            np.fromiter((entry[3] for entry in entries), np.float64, len(entries)),
        )

    def __len__(self) -> int:
        """How many distinct keys there are."""
        return len(self.keys)

    def __iter__(self) -> Iterator[str]:
        """All keys in sorted order: the patterns of a matcher, whose pattern number is the key's number."""
        return iter(self.keys)

    def candidates(self, surface: str) -> list[Candidate]:
        """The entities that `surface`, a stretch of raw text, may mean, likeliest first; [] where unknown."""
        name = normalise(surface)
        key = fold(name)
        number = bisect_left(self.keys, key)
        if number == len(self.keys) or self.keys[number] != key:
            return []
        return self.of_key(number, name)

    def of_key(self, number: int, name: str) -> list[Candidate]:
        """The candidates of key `number`, met in the text as `name` (normalised), likeliest first.

        Only the graph's names whose case allows `name` take part (`kg.surface.fits_case`), so the list is
        empty where "nice" is met and the graph has Nice.
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
        """Write the columns into `folder`, which is made."""
        folder.mkdir(parents=True, exist_ok=True)
        save_strings(folder, "keys", self.keys)
        save_strings(folder, "names", self.names)
        for name in ("key_starts", "name_starts", "rows", "weights"):
            save(folder, name, getattr(self, name))

    @classmethod
    def open(cls, folder: Path) -> Lexicon:
        """The lexicon that `save` wrote, memory-mapped."""
        columns = {name: load(folder, name) for name in ("key_starts", "name_starts", "rows", "weights")}
        return cls(Strings.load(folder, "keys"), names=Strings.load(folder, "names"), **columns)


def _entries(
    graph: Graph, alias_weight: float, variants: Variants | None
) -> list[tuple[str, str, int, float]]:
    """(key, name, row, weight) of each distinct name of each entity, sorted."""
    prior = graph.prior if graph.prior.any() else graph.degrees
    weights = (1.0 + prior).tolist()
    entries: list[tuple[str, str, int, float]] = []
    aliases, starts = iter(graph.alias_strings), graph.alias_starts.tolist()
    for row, label in enumerate(graph.labels):
        count = starts[row + 1] - starts[row]
        written = {normalise(next(aliases)): weights[row] * alias_weight for _ in range(count)}
        written[normalise(label)] = weights[row]
        if variants is not None:
            names = [normalise(label), *written]
            for variant in variants(names):
                written.setdefault(normalise(variant), weights[row] * VARIANT_WEIGHT)
        entries += [(fold(name), name, row, weight) for name, weight in written.items() if name]
    entries.sort()
    return entries
