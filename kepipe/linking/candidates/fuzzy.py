"""Fuzzy lookup: the name of the graph most similar to a surface form, for typos and other transcriptions."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache, partial
from typing import NamedTuple

from kepipe.linking.text.spans import touches
from kg.lexicon import Lexicon
from kg.surface import fits_case, fold, normalise

MIN_LENGTH = 5
"""Shorter surfaces are similar to too many names."""
MIN_SIMILARITY = 85.0
"""Minimum Indel similarity, 0..100: about one letter in seven may differ."""
PREFIX = 2
"""Number of first letters that must be equal, which restricts the search to a short range of the sorted keys."""


class NearestName(NamedTuple):
    """The most similar name, the row of its likeliest entity, the similarity (0..100), and p(entity | name)."""

    name: str
    row: int
    similarity: float
    prior: float


class FuzzyLookup:
    """Looks up surfaces that are similar to a name of the lexicon; results are cached, since misspellings repeat.

    `cutoff`: minimum similarity, 0..100.
    """

    def __init__(self, lexicon: Lexicon, cutoff: float) -> None:
        self._nearest = lru_cache(maxsize=100_000)(partial(nearest_name, lexicon, cutoff=cutoff))

    def find(
        self, text: str, spans: Iterable[tuple[int, int]], taken: Sequence[tuple[int, int]]
    ) -> Iterator[tuple[int, int, int, float]]:
        """Start, end, row and score of each span that is similar to a name and overlaps none of the `taken` spans.

        `taken` is sorted and without overlap. The score is the similarity, 0..1, times p(entity | name).
        """
        for start, end in spans:
            if touches(taken, start, end):
                continue
            near = self._nearest(text[start:end])
            if near is not None:
                yield start, end, near.row, near.similarity / 100 * near.prior


def nearest_name(lexicon: Lexicon, surface: str, cutoff: float = MIN_SIMILARITY) -> NearestName | None:
    """The most similar name with the same first letters and a length within a fifth; None if below `cutoff`."""
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
    _, similarity, number = best
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
    return NearestName(name, candidates[0].row, round(float(similarity), 1), candidates[0].prior)
