"""By which single words a person may be called: the first and the last of the name."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from kepipe.arrays import Ints
from kepipe.linking.kb.kinds import KINDS
from kg.columns import Strings, load, offsets, save, save_strings
from kg.store import Graph

SHORTEST = 3
_NO_NAMES = frozenset(
    ("Jr", "Jr.", "Sr", "Sr.", "II", "III", "IV", "The", "Sir", "Dr", "Dr.", "Saint", "St", "St.")
)


@dataclass(frozen=True)
class NameParts:
    """`words` [W]; of word w the persons `rows[starts[w]:starts[w + 1]]`, the best connected first."""

    words: Sequence[str]
    starts: Ints
    rows: Ints

    @classmethod
    def of(cls, graph: Graph, kinds: Ints, degrees: Ints) -> NameParts:
        """Of the labels of a graph's persons."""
        by_word: dict[str, list[int]] = defaultdict(list)
        persons = np.flatnonzero(kinds == KINDS.index("person"))
        for row in persons[np.argsort(-degrees[persons], kind="stable")].tolist():
            words = [word for word in graph.labels[row].split() if word not in _NO_NAMES]
            if len(words) < 2:
                continue
            for word in dict.fromkeys((words[0], words[-1])):
                if len(word) >= SHORTEST and word[0].isupper():
                    by_word[word].append(row)
        ordered = sorted(by_word)
        counts = [len(by_word[word]) for word in ordered]
        rows = [row for word in ordered for row in by_word[word]]
        return cls(ordered, offsets(np.asarray(counts, np.int64)), np.asarray(rows, np.int64))

    def persons(self, word: str, most: int) -> Ints:
        """Who may be called so: no more than `most`."""
        place = self.places.get(word)
        if place is None:
            return np.zeros(0, np.int64)
        first, stop = self.starts[place : place + 2].tolist()
        return np.asarray(self.rows[first : min(stop, first + most)], np.int64)

    @cached_property
    def places(self) -> dict[str, int]:
        """The place of each word."""
        return {word: place for place, word in enumerate(self.words)}

    def save(self, folder: Path) -> None:
        """Write the columns into `folder`, which is made."""
        folder.mkdir(parents=True, exist_ok=True)
        save_strings(folder, "words", self.words)
        save(folder, "starts", self.starts)
        save(folder, "rows", self.rows)

    @classmethod
    def open(cls, folder: Path) -> NameParts:
        """The columns that `save` wrote."""
        return cls(Strings.load(folder, "words"), load(folder, "starts"), load(folder, "rows"))
