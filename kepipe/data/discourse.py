"""Pairs of adjacent sentences related by a connective, which is removed (Sun et al. 2020, "ERNIE 2.0", §4.2.3, after
Sileo et al. 2019, "Mining Discourse Markers", §3)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kepipe.arrays import Ints
from kepipe.data.alignment import WORD
from kepipe.data.connectives import Connectives
from kepipe.data.examples import Examples
from kepipe.data.pairs import Sides, pair_up, truncate
from kepipe.data.shards import Shard
from kepipe.tokenization.tokenizer import Tokenizer

Marker = tuple[int, tuple[int, ...]]
"""The index of a relation, and the tokens of one of its connectives."""
COMMAS = (",", "，", "、")


def marker_tokens(connectives: Connectives, tokenizer: Tokenizer) -> list[Marker]:
    """The tokens of every connective, longest first, in all combinations: lower case or capitalised, with or without a
    leading space, with or without a trailing comma."""
    forms = [
        (number, before + written + comma)
        for number, words in enumerate(connectives.values())
        for word in words
        for written in (word, word[:1].upper() + word[1:])
        for before in ("", " ")
        for comma in ("", *COMMAS)
    ]
    encoded = tokenizer.encode([form for _, form in forms])
    rows = np.split(encoded.tokens, np.cumsum(encoded.lengths)[:-1])
    markers = {
        (number, tuple(row.tolist())) for (number, _), row in zip(forms, rows, strict=True) if len(row)
    }
    return sorted(markers, key=lambda marker: (-len(marker[1]), marker))


def plan_discourse(
    shard: Shard, length: int, markers: Sequence[Marker], rng: np.random.Generator
) -> tuple[Examples, Ints]:
    """Rows `[CLS] a [SEP] b [SEP]` of at most `length` tokens, and the relation of each: int [rows].

    b is a sentence that begins with a connective, which is removed; a is the previous sentence of the document. The
    longest matching connective counts, and a new word must follow it. Relations are not balanced. Raises ValueError if
    there is no such sentence.
    """
    starts, ends = shard.sentences[:-1], shard.sentences[1:]
    follows = ~np.isin(starts, shard.documents)
    b = np.flatnonzero(follows)
    begin, stop, label = starts[b], ends[b], np.full(len(b), -1, np.int64)
    text = begin.copy()
    for number, tokens in markers:
        after = begin + len(tokens)
        left = np.flatnonzero((label < 0) & (after < stop))
        for place, token in enumerate(tokens):
            left = left[shard.tokens[begin[left] + place] == token]
        left = left[(shard.bounds[after[left]] & WORD) > 0]
        label[left], text[left] = number, after[left]
    found = label >= 0
    if not found.any():
        raise ValueError(f"{shard.folder}: no sentence begins with a connective")
    b, text, stop = b[found], text[found], stop[found]
    sides = truncate(Sides(starts[b - 1], ends[b - 1], text, stop), length - 3, rng)
    return pair_up(sides), label[found]
