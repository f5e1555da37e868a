"""The name of the graph that is written most like a surface: for slips of the pen and other transcriptions."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

from kepipe.linking.text.spans import touches
from kg.lexicon import Lexicon
from kg.surface import fits_case, fold, normalise

MIN_LENGTH = 5
"""Shorter surfaces are like too many names."""
LIKENESS = 85.0
"""The least Indel similarity, 0..100: one letter in seven or so may differ."""
PREFIX = 2
"""The first letters must be the same, which leaves a small stretch of the sorted keys to compare with."""


class Near(NamedTuple):
    """A name like the surface, the row of its likeliest entity, how like it is (0..100), and p(entity | name)."""

    name: str
    row: int
    likeness: float
    prior: float


class NearNames:
    """Looks names up that are written almost as in the lexicon; answers are kept, since misspellings repeat.

    `cutoff`: the least likeness, 0..100.
    """

    def __init__(self, lexicon: Lexicon, cutoff: float) -> None:
        self._near = lru_cache(maxsize=100_000)(partial(nearest_name, lexicon, cutoff=cutoff))

    def find(
        self, text: str, spans: Iterable[tuple[int, int]], taken: Sequence[tuple[int, int]]
    ) -> Iterator[tuple[int, int, int, float]]:
        """Start, end, row and score of each span that is like a name and touches none of the `taken` ones.

        These are in order and apart. The score is the likeness, 0..1, times p(entity | name).
        """
        for start, end in spans:
            if touches(taken, start, end):
                continue
            near = self._near(text[start:end])
            if near is not None:
                yield start, end, near.row, near.likeness / 100 * near.prior


def nearest_name(lexicon: Lexicon, surface: str, cutoff: float = LIKENESS) -> Near | None:
    """The most similar name whose first letters and length (give or take a fifth) agree; None where none is near."""
    from rapidfuzz import fuzz, process

    written = normalise(surface)
    key = fold(written)
    if len(key) < MIN_LENGTH:
        return None
    low = bisect_left(lexicon.keys, key[:PREFIX])
    high = bisect_left(lexicon.keys, key[:PREFIX] + "\U0010ffff")
    slack = max(len(key) // 5, 1)
    near = {
        number: name_key
        for number in range(low, high)
        if abs(len(name_key := lexicon.keys[number]) - len(key)) <= slack and name_key != key
    }
    best = process.extractOne(key, near, scorer=fuzz.ratio, score_cutoff=cutoff)
    if best is None:
        return None
    _, likeness, number = best
    name = next(
        (
            name
            for name in lexicon.names[lexicon.key_starts[number] : lexicon.key_starts[number + 1]]
            if fits_case(written[:1], name[:1])
        ),
        None,
    )
    candidates = [] if name is None else lexicon.of_key(number, name)
    if not name or not candidates:
        return None
    return Near(name, candidates[0].row, round(float(likeness), 1), candidates[0].prior)
