"""Is a word a common word? A word that a corpus mostly writes in lower case is, however it is written here."""

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
_BEGINS = re.compile(rf"(?:^|[.!?][\"'”’)\]]*\s+|\n)[\"'“‘(\[]*({_CAPITAL}[^\W_]*)")
"""The first word of a sentence, which begins with a capital whatever it is."""
MIN_COUNT = 2
MOST_DESCRIPTIONS = 100_000
"""No more of a graph's descriptions are counted: they tell which words are common, and a million would take long."""
KEPT = 1_000_000
"""Answers about names are kept, up to so many."""


def count_spellings(texts: Iterable[str]) -> Counter[str]:
    """How often each word that has case is written so; a capital at the beginning of a sentence tells nothing.

    The counts of a corpus are the sums of those of its parts.
    """
    written: Counter[str] = Counter()
    for text in texts:
        written.update(WORD.findall(text))
        written.subtract(_BEGINS.findall(text))
    return Counter(
        {word: count for word, count in written.items() if word.islower() or word.lower().islower()}
    )


@dataclass(frozen=True)
class Casing:
    """`share`: word in lower case → the share of its occurrences in lower case, shrunk towards 0."""

    share: Mapping[str, float] = field(default_factory=dict)
    _common: dict[str, float] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, written: Mapping[str, int]) -> Casing:
        """The shares of words, by their counts (`count_spellings`)."""
        lower = {word: count for word, count in written.items() if word.islower() and count >= MIN_COUNT}
        other: Counter[str] = Counter()
        for word, count in written.items():
            if not word.islower():
                other[word.lower()] += count
        return cls({word: count / (count + other[word] + 1.0) for word, count in sorted(lower.items())})

    @classmethod
    def count(cls, texts: Iterable[str]) -> Casing:
        """Count the words of a corpus."""
        return cls.of(count_spellings(texts))

    @classmethod
    def count_with(cls, descriptions: Iterable[str], spellings: Mapping[str, int] | None = None) -> Casing:
        """Count the words of a graph's descriptions too: texts may be too few to show a common word."""
        written = count_spellings(islice(descriptions, MOST_DESCRIPTIONS))
        written.update(spellings or {})
        return cls.of(written)

    def common(self, surface: str) -> float:
        """0..1, how common the least common word of a name is; 0 where one was never seen in lower case."""
        share = self._common.get(surface)
        if share is None:
            words = WORD.findall(surface.lower())
            share = min((self.share.get(word, 0.0) for word in words), default=0.0)
            if len(self._common) < KEPT:
                self._common[surface] = share
        return share

    def save(self, folder: Path) -> None:
        """Write the shares into `folder`, which is made."""
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
"""Words that begin with a capital letter, one after the other on a line; a full stop ends them, but not those of
initials and titles ("J. R. R. Tolkien", "St. Louis").
"""


def capital_runs(text: str) -> list[tuple[int, int]]:
    """Runs of words that begin with a capital, in order, punctuation at the end left out."""
    return [(run.start(), run.start() + len(run[0].rstrip(".'’"))) for run in CAPITAL_RUN.finditer(text)]
