"""Overlap of an entity's word profile with the words around a mention, and with the whole text."""

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
"""Characters on either side of a mention that count as near, about fifty words."""


def profile_overlap(
    batch: TextBatch, matches: Matches, profiles: Matrix, columns: Mapping[str, int]
) -> tuple[Floats, Floats]:
    """For each candidate [P], the part of its profile that occurs near the mention, and anywhere in the text.

    Both are the sum of the profile's weights over the distinct words that occur; the mention's own words do not count
    as near it.
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
    occurs = local >= 0
    owners, local, weights = owners[occurs], local[occurs], profiles.data[entries[occurs]].astype(np.float64)

    # Pairs of a candidate and a word of its profile: first words of the batch, then only those of its own text.
    first = np.searchsorted(owners, np.arange(len(entities)))
    candidate, nth = expand(np.bincount(owners, minlength=len(entities))[place])
    entry = first[place[candidate]] + nth
    text = batch.number(matches.starts)
    present = np.zeros((len(batch.texts), max(len(distinct), 1)), np.bool_)
    present[batch.number(starts), word] = True
    in_text = present[text[matches.owners[candidate]], local[entry]]
    candidate, entry = candidate[in_text], entry[in_text]
    anywhere = sum_by(candidate, weights[entry], len(place))
    near = _is_near(matches, batch, matches.owners[candidate], local[entry], (word, starts))
    return sum_by(candidate[near], weights[entry[near]], len(place)), anywhere


def _is_near(
    matches: Matches, batch: TextBatch, match: Ints, profile_word: Ints, words: tuple[Ints, Ints]
) -> Bools:
    """For each pair of a match and a profile word: whether the word occurs in the match's window, outside the match."""
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
    """Profile column and start offset of each word of a folded text that occurs in some profile."""
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
