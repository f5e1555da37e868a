"""Exact matching of a graph's names in a text, leftmost-longest.

For texts without a linker, as in K-BERT (Liu et al. 2020): a name means its most probable entity among those that are
the head of a triple.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from kepipe.arrays import Ints
from kepipe.data.document import Mention
from kepipe.linking.candidates.gazetteer import Gazetteer
from kepipe.linking.candidates.matches import Matches
from kg.lexicon import Lexicon
from kg.store import Graph


class Dictionary:
    """The names of entities that are the head of a triple. `shortest`: minimum length in characters.

    `words`: only matches that are whole words of jieba's segmentation (Chinese); otherwise all matches, in scripts with
    spaces at word boundaries.
    """

    def __init__(self, graph: Graph, *, shortest: int = 2, words: bool = False) -> None:
        self._gazetteer = Gazetteer(Lexicon.build(graph), min_length=shortest)
        self._ids = graph.ids
        self._has_triples = np.zeros(len(graph), np.bool_)
        for split in graph.splits:
            self._has_triples[graph.triples(split)[:, 0]] = True
        self._words = words

    def find(self, text: str) -> tuple[Mention, ...]:
        """Mentions in order, without overlap: among overlapping names the leftmost, then the longest."""
        matches = self._gazetteer.find(text)
        places, meant = self._likeliest_candidates(matches)
        content_words = ~np.fromiter(
            (_is_function_word(matches.surfaces[place]) for place in places.tolist()), np.bool_, len(places)
        )
        places, meant = places[content_words], meant[content_words]
        if self._words:
            has_word_bounds = np.isin(matches.starts[places], cuts := _cut(text)) & np.isin(
                matches.ends[places], cuts
            )
            places, meant = places[has_word_bounds], meant[has_word_bounds]
        starts, ends = matches.starts[places], matches.ends[places]
        found, end = [], 0
        for number in np.lexsort((-ends, starts)).tolist():
            if starts[number] >= end:
                end = int(ends[number])
                id, score = self._ids[int(matches.rows[meant[number]])], float(matches.priors[meant[number]])
                found.append(Mention(int(starts[number]), end, id, score))
        return tuple(found)

    def _likeliest_candidates(self, matches: Matches) -> tuple[Ints, Ints]:
        """The matches with a candidate that has triples, and for each the index of its most probable such candidate."""
        candidates = np.flatnonzero(self._has_triples[matches.rows])
        places, first = np.unique(matches.owners[candidates], return_index=True)
        return places, candidates[first]


MAX_FUNCTION_WORD = 4


def _is_function_word(surface: str) -> bool:
    """Whether a match is probably a function word: "in" is an alias of India in Wikidata."""
    return len(surface) < MAX_FUNCTION_WORD and surface.isascii() and surface.islower()


def _cut(text: str) -> Ints:
    """The boundaries of jieba's words."""
    import logging

    import jieba

    jieba.setLogLevel(logging.WARNING)
    return np.cumsum([0, *map(len, jieba.cut(text))])


def to_tokens(
    text: str, mentions: Iterable[Mention], starts: Ints, ends: Ints, offset: int = 0
) -> list[tuple[int, int, str]]:
    """Mentions as (first token, one past the last, entity), shifted by `offset` tokens.

    `starts`, `ends`: int [T], the character offsets of each token in `text`. A mention is dropped if its boundaries do
    not align with tokens, or if it overlaps an earlier mention.
    """
    blank = np.fromiter((char.isspace() for char in text), np.bool_, len(text))
    starts = (
        starts + blank[np.minimum(starts, len(text) - 1)]
    )  # byte-level tokens cover the blank before a word
    found: list[tuple[int, int, str]] = []
    taken = 0
    for mention in mentions:
        first = int(np.searchsorted(ends, mention.start, side="right"))
        stop = int(np.searchsorted(starts, mention.end, side="left"))
        inside = stop > first and starts[first] >= mention.start and ends[stop - 1] <= mention.end
        if inside and first >= taken:
            found.append((first + offset, stop + offset, mention.entity))
            taken = stop
    return found
