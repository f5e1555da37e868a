"""Which words are common: those that a corpus mostly writes in lower case, however a mention writes them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from kepipe.linking.text.words import WORD
from kg.columns import Strings, load, save, save_strings

_CAPITAL = f"[{''.join(filter(str.isupper, map(chr, range(0x10000))))}]"
_SENTENCE_FIRST_WORD = re.compile(rf"(?:^|[.!?][\"'”’)\]]*\s+|\n)[\"'“‘(\[]*({_CAPITAL}[^\W_]*)")
"""The first word of a sentence, which is capitalised whether or not it is a name."""
MIN_COUNT = 2
MAX_DESCRIPTIONS = 100_000
"""At most this many descriptions of a graph are counted: enough to find common words, and a million would be slow."""
CACHE_SIZE = 1_000_000
"""Maximum number of entries in the cache of `Casing.common`."""


def count_spellings(texts: Iterable[str]) -> Counter[str]:
    """Count each cased spelling of each word; capitalised words at the start of a sentence are not counted.

    Counts are additive: those of a corpus are the sum of those of its parts.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(WORD.findall(text))
        counts.subtract(_SENTENCE_FIRST_WORD.findall(text))
    return Counter(
        {word: count for word, count in counts.items() if word.islower() or word.lower().islower()}
    )


@dataclass(frozen=True)
class Casing:
    """`share`: lower-cased word → the share of its occurrences that are in lower case, shrunk towards 0."""

    share: Mapping[str, float] = field(default_factory=dict)
    _common: dict[str, float] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_counts(cls, counts: Mapping[str, int]) -> Casing:
        """Shares from counts of spellings (`count_spellings`)."""
        lower = {word: count for word, count in counts.items() if word.islower() and count >= MIN_COUNT}
        other: Counter[str] = Counter()
        for word, count in counts.items():
            if not word.islower():
                other[word.lower()] += count
        return cls({word: count / (count + other[word] + 1.0) for word, count in sorted(lower.items())})

    @classmethod
    def count(cls, texts: Iterable[str]) -> Casing:
        """Count the words of a corpus."""
        return cls.from_counts(count_spellings(texts))

    @classmethod
    def count_with(cls, descriptions: Iterable[str], spellings: Mapping[str, int] | None = None) -> Casing:
        """Count the words of a graph's descriptions too: a small corpus may lack common words."""
        counts = count_spellings(islice(descriptions, MAX_DESCRIPTIONS))
        counts.update(spellings or {})
        return cls.from_counts(counts)

    def common(self, surface: str) -> float:
        """The lower-case share (0..1) of a name's least common word; 0 if a word was never seen in lower case."""
        share = self._common.get(surface)
        if share is None:
            words = WORD.findall(surface.lower())
            share = min((self.share.get(word, 0.0) for word in words), default=0.0)
            if len(self._common) < CACHE_SIZE:
                self._common[surface] = share
        return share

    def save(self, folder: Path) -> None:
        """Write the shares into `folder`, which is created."""
        folder.mkdir(parents=True, exist_ok=True)
        save_strings(folder, "words", self.share)
        save(folder, "shares", np.fromiter(self.share.values(), np.float64, len(self.share)))

    @classmethod
    def open(cls, folder: Path) -> Casing:
        """The shares that `save` wrote."""
        words, shares = Strings.load(folder, "words"), load(folder, "shares")
        return cls(dict(zip(words, shares.tolist(), strict=True)))


_ABBREVIATED = r"(?:Capt|Col|Dr|Ft|Gen|Gov|Jr|Lt|Mr|Mrs|Ms|Mt|Prof|Rep|Rev|Sen|Sgt|Sr|St)\."
_CAPITALISED = rf"(?:{_ABBREVIATED}|(?:{_CAPITAL}\.)+|{_CAPITAL}[\w'’]*)"
CAPITAL_RUN = re.compile(rf"\b{_CAPITALISED}(?:[ -]{_CAPITALISED})*")
"""Consecutive capitalised words on one line. A full stop ends the run, except in initials and titles
("J. R. R. Tolkien", "St. Louis").
"""


def capital_runs(text: str) -> list[tuple[int, int]]:
    """Start and end of each run of capitalised words, in order, without trailing punctuation."""
    return [(run.start(), run.start() + len(run[0].rstrip(".'’"))) for run in CAPITAL_RUN.finditer(text)]
