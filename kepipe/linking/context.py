"""How many of the words that go with an entity stand around a mention, and in the whole text."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from kepipe.linking.coherence import expand, locate, sum_by
from kepipe.linking.gazetteer import Matches
from kepipe.linking.knowledge import WORD, Matrix, split_words
from kg.surface import fold

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

WINDOW = 300
"""Characters on either side of a mention that count as near, some fifty words."""


def compare(
    text: str, matches: Matches, profiles: Matrix, columns: Mapping[str, int]
) -> tuple[Floats, Floats]:
    """For each candidate [P], the share of its profile (0..1) near the mention, and anywhere in the text.

    The share is the sum of the profile's weights over the distinct words that occur; a mention's own words
    do not count as near it.
    """
    words, starts = _known_words(text, columns)
    entities, place = np.unique(matches.rows, return_inverse=True)
    distinct = np.unique(words)
    first = profiles.indptr[entities].astype(np.int64)
    owners, nth = expand(profiles.indptr[entities + 1].astype(np.int64) - first)
    entries = first[owners] + nth
    local = locate(distinct, profiles.indices[entries].astype(np.int64))
    there = local >= 0
    owners, local, weights = owners[there], local[there], profiles.data[entries[there]].astype(np.float64)
    anywhere = sum_by(owners, weights, len(entities))[place]
    near = _near(matches, place, (owners, local, weights), np.searchsorted(distinct, words), starts)
    return near, anywhere


def _near(
    matches: Matches, place: Ints, profile: tuple[Ints, Ints, Floats], words: Ints, starts: Ints
) -> Floats:
    """Sum, for each candidate, the weights of its entity's profile words inside the mention's window."""
    owners, local, weights = profile
    width = int(words.max(initial=0)) + 1
    own_low, own_high = np.searchsorted(starts, matches.starts), np.searchsorted(starts, matches.ends)
    low = np.searchsorted(starts, matches.starts - WINDOW)
    high = np.searchsorted(starts, matches.ends + WINDOW)
    match, nth = expand(high - low)
    at = low[match] + nth
    outside = (at < own_low[match]) | (at >= own_high[match])
    seen = np.unique(match[outside] * width + words[at[outside]])
    first = np.searchsorted(owners, place)
    pair, nth = expand(np.searchsorted(owners, place, "right") - first)
    entry = first[pair] + nth
    hit = locate(seen, matches.owners[pair] * width + local[entry]) >= 0
    return sum_by(pair[hit], weights[entry[hit]], len(place))


def _known_words(text: str, columns: Mapping[str, int]) -> tuple[Ints, Ints]:
    """Column and first character of each word of the text that stands in some profile."""
    found: list[int] = []
    starts: list[int] = []
    for word in WORD.finditer(fold(text)):
        written = word[0]
        for part in (written,) if written.isascii() else split_words(written):
            column = columns.get(part)
            if column is not None:
                found.append(column)
                starts.append(word.start())
    return np.asarray(found, np.int64), np.asarray(starts, np.int64)
