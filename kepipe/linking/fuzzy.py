"""The name of the graph that is written most like a surface: for slips of the pen and other transcriptions."""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from kg.lexicon import Lexicon
from kg.surface import fits_case, fold, normalise

MIN_LENGTH = 5
"""Shorter surfaces are like too many names."""
LIKENESS = 85.0
"""The least Indel similarity, 0..100: one letter in seven or so may differ."""
PREFIX = 2
"""The first letters must be the same, which leaves a small stretch of the sorted keys to compare with."""


class Near(NamedTuple):
    """A name like the surface, the row of its likeliest entity, and how like it is: 0..100."""

    name: str
    row: int
    likeness: float


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
        number: found
        for number in range(low, high)
        if abs(len(found := lexicon.keys[number]) - len(key)) <= slack and found != key
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
    return Near(name, candidates[0].row, round(float(likeness), 1)) if name and candidates else None
