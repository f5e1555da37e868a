"""Single words that may name a person: the first and last words of their labels."""

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

MIN_LENGTH = 3
_NO_NAMES = frozenset(
    ("Jr", "Jr.", "Sr", "Sr.", "II", "III", "IV", "The", "Sir", "Dr", "Dr.", "Saint", "St", "St.")
)


@dataclass(frozen=True)
class NameParts:
    """`words` [W]; the persons with word w in their name are `rows[starts[w]:starts[w + 1]]`, by falling degree."""

    words: Sequence[str]
    starts: Ints
    rows: Ints

    @classmethod
    def of(cls, graph: Graph, kinds: Ints, degrees: Ints) -> NameParts:
        """Index the first and last words of the labels of a graph's persons."""
        by_word: dict[str, list[int]] = defaultdict(list)
        persons = np.flatnonzero(kinds == KINDS.index("person"))
        for row in persons[np.argsort(-degrees[persons], kind="stable")].tolist():
            words = [word for word in graph.labels[row].split() if word not in _NO_NAMES]
            if len(words) < 2:
                continue
            for word in dict.fromkeys((words[0], words[-1])):
                if len(word) >= MIN_LENGTH and word[0].isupper():
                    by_word[word].append(row)
        ordered = sorted(by_word)
        counts = [len(by_word[word]) for word in ordered]
        rows = [row for word in ordered for row in by_word[word]]
        return cls(ordered, offsets(np.asarray(counts, np.int64)), np.asarray(rows, np.int64))

    def persons(self, word: str, limit: int) -> Ints:
        """The rows of the persons with this first or last name, at most `limit`."""
        index = self.word_indices.get(word)
        if index is None:
            return np.zeros(0, np.int64)
        first, stop = self.starts[index : index + 2].tolist()
        return np.asarray(self.rows[first : min(stop, first + limit)], np.int64)

    @cached_property
    def word_indices(self) -> dict[str, int]:
        """The index of each word in `words`."""
        return {word: index for index, word in enumerate(self.words)}

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
