"""Words of a text that a graph knows: its names, the longest first from the left.

For texts that no linker has read, as K-BERT finds mentions (Liu et al. 2020): a name means the likeliest of the
entities that bear it and have a triple to show.
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
    """The names of entities that are the head of a triple. `shortest`: in characters.

    `words`: only what a segmentation by jieba takes for one or several whole words (Chinese); otherwise any match
    counts, in scripts with spaces between boundaries of words.
    """

    def __init__(self, graph: Graph, *, shortest: int = 2, words: bool = False) -> None:
        self._gazetteer = Gazetteer(Lexicon.build(graph), min_length=shortest)
        self._ids = graph.ids
        self._speaks = np.zeros(len(graph), np.bool_)
        for split in graph.splits:
            self._speaks[graph.triples(split)[:, 0]] = True
        self._words = words

    def find(self, text: str) -> tuple[Mention, ...]:
        """Mentions in order, without overlap: of names that overlap the leftmost, of these the longest."""
        matches = self._gazetteer.find(text)
        places, meant = self._meanings(matches)
        telling = ~np.fromiter(
            (_is_small(matches.surfaces[place]) for place in places.tolist()), np.bool_, len(places)
        )
        places, meant = places[telling], meant[telling]
        if self._words:
            whole = np.isin(matches.starts[places], cuts := _cut(text)) & np.isin(matches.ends[places], cuts)
            places, meant = places[whole], meant[whole]
        starts, ends = matches.starts[places], matches.ends[places]
        found, end = [], 0
        for number in np.lexsort((-ends, starts)).tolist():
            if starts[number] >= end:
                end = int(ends[number])
                id, score = self._ids[int(matches.rows[meant[number]])], float(matches.priors[meant[number]])
                found.append(Mention(int(starts[number]), end, id, score))
        return tuple(found)

    def _meanings(self, matches: Matches) -> tuple[Ints, Ints]:
        """The matches that mean somebody with triples, and for each the number of its likeliest candidate."""
        candidates = np.flatnonzero(self._speaks[matches.rows])
        places, first = np.unique(matches.owners[candidates], return_index=True)
        return places, candidates[first]


SMALL = 4


def _is_small(surface: str) -> bool:
    """Whether a match is rather a function word: "in" is a name of India in Wikidata."""
    return len(surface) < SMALL and surface.isascii() and surface.islower()


def _cut(text: str) -> Ints:
    """Where jieba's words begin and end."""
    import logging

    import jieba

    jieba.setLogLevel(logging.WARNING)
    return np.cumsum([0, *map(len, jieba.cut(text))])


def to_tokens(
    text: str, mentions: Iterable[Mention], starts: Ints, ends: Ints, offset: int = 0
) -> list[tuple[int, int, str]]:
    """Mentions as (first token, one past the last, entity), shifted by `offset` tokens.

    `starts`, `ends`: int [T], the characters of `text` that each token covers. A token that reaches over the edge
    of a mention, or that another mention has taken, keeps the mention out.
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
