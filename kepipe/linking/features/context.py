"""How many of the words that go with an entity stand around a mention, and in the whole text."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain

import numpy as np

from kepipe.arrays import Bools, Floats, Ints
from kepipe.linking.candidates.matches import Matches
from kepipe.linking.kb.sparse import Matrix, expand, sum_by
from kepipe.linking.text.batch import TextBatch
from kepipe.linking.text.characters import LETTER, UNSPACED, classify, code_points
from kepipe.linking.text.words import WORD, split_words

WINDOW = 300
"""Characters on either side of a mention that count as near, some fifty words."""


def compare(
    batch: TextBatch, matches: Matches, profiles: Matrix, columns: Mapping[str, int]
) -> tuple[Floats, Floats]:
    """For each candidate [P], the share of its profile (0..1) near the mention, and anywhere in the text.

    The share is the sum of the profile's weights over the distinct words that occur; a mention's own words
    do not count as near it.
    """
    words, starts = _known_words(batch.folded, columns)
    distinct, word = np.unique(words, return_inverse=True)
    number = np.zeros(profiles.shape[1], np.int32)  # of each word of the batch, counted from 1
    number[distinct] = np.arange(1, len(distinct) + 1)
    entities, place = np.unique(matches.rows, return_inverse=True)
    first = profiles.indptr[entities].astype(np.int64)
    owners, nth = expand(profiles.indptr[entities + 1] - first)
    entries = first[owners] + nth
    local = number[profiles.indices[entries]].astype(np.int64) - 1
    there = local >= 0
    owners, local, weights = owners[there], local[there], profiles.data[entries[there]].astype(np.float64)

    # Each candidate with each word of its profile that stands on the batch, then only with those of its text.
    first = np.searchsorted(owners, np.arange(len(entities)))
    candidate, nth = expand(np.bincount(owners, minlength=len(entities))[place])
    entry = first[place[candidate]] + nth
    text = batch.number(matches.starts)
    present = np.zeros((len(batch.texts), max(len(distinct), 1)), np.bool_)
    present[batch.number(starts), word] = True
    there = present[text[matches.owners[candidate]], local[entry]]
    candidate, entry = candidate[there], entry[there]
    anywhere = sum_by(candidate, weights[entry], len(place))
    near = _stands_near(matches, batch, matches.owners[candidate], local[entry], (word, starts))
    return sum_by(candidate[near], weights[entry[near]], len(place)), anywhere


def _stands_near(
    matches: Matches, batch: TextBatch, match: Ints, profile_word: Ints, words: tuple[Ints, Ints]
) -> Bools:
    """Whether a word stands in the window of a match, in its text and not in it itself, for each pair of the two."""
    word, starts = words
    text = batch.number(matches.starts)
    bounds = (
        np.maximum(matches.starts - WINDOW, batch.begins[text]),
        np.minimum(matches.ends + WINDOW, batch.begins[text + 1]),
        matches.starts,
        matches.ends,
    )
    occurrences = np.sort(word * (len(word) + 1) + np.arange(len(word)))
    base = profile_word * (len(word) + 1)
    low, high, own_low, own_high = (
        np.searchsorted(occurrences, base + np.searchsorted(starts, bound)[match]) for bound in bounds
    )
    near: Bools = high - low > own_high - own_low
    return near


def _known_words(folded: str, columns: Mapping[str, int]) -> tuple[Ints, Ints]:
    """Column and first character of each word of a folded text that stands in some profile."""
    words = WORD.findall(folded)
    classes = classify(code_points(folded))
    letter = (classes == LETTER) | (classes == UNSPACED)
    starts = np.flatnonzero(np.diff(letter.view(np.int8), prepend=0) == 1)
    if not folded.isascii():
        parts = [[word] if word.isascii() else split_words(word) for word in words]
        starts = np.repeat(starts, [len(part) for part in parts])
        words = list(chain.from_iterable(parts))
    numbers = np.fromiter((columns.get(word, -1) for word in words), np.int64, len(words))
    known = numbers >= 0
    return numbers[known], starts[known]
