"""Pairs of sentences: adjacent, of one document, or of two documents (Sun et al. 2020, "ERNIE 2.0", §4.2.2)."""

from __future__ import annotations

import numpy as np

from kepipe.arrays import Ints
from kepipe.data.examples import Examples, cut_sentences
from kepipe.data.pairs import Sides, other_sentence, pair_up, truncate
from kepipe.data.shards import Shard

DISTANCES = ("adjacent", "same-document", "other-document")
"""The labels of a pair, by index."""


def plan_distances(shard: Shard, length: int, rng: np.random.Generator) -> tuple[Examples, Ints]:
    """Rows `[CLS] a [SEP] b [SEP]` of at most `length` tokens, and the label of each: int [rows].

    Each sentence a is in one row, with a uniformly drawn label: b is the sentence after a; a random sentence of the
    same document that is not adjacent to a; or a random sentence of a random other document. Sentences for which one
    of the three is impossible, such as the last one of a document, are not used as a: they would bias the labels.
    Raises ValueError if there is no usable sentence.
    """
    room = length - 3
    cuts, of = cut_sentences(shard, room)
    begins, ends = np.searchsorted(of, of, side="left"), np.searchsorted(of, of, side="right")
    place = np.arange(len(of))
    before = np.maximum(place - 1 - begins, 0)
    apart = before + np.maximum(ends - place - 2, 0)
    a = np.flatnonzero((place + 1 < ends) & (apart > 0))
    if not len(a) or len(shard.documents) < 3:
        raise ValueError(
            f"{shard.folder}: sentence distances need at least 2 documents, one of them of 3 sentences or more"
        )
    labels = rng.integers(0, len(DISTANCES), len(a))
    nth = (rng.random(len(a)) * apart[a]).astype(np.int64)
    same = np.where(nth < before[a], begins[a] + nth, a + 2 + nth - before[a])
    other = other_sentence(of[a], begins, ends, shard, of, rng)
    b = np.choose(labels, [a + 1, same, other])
    return pair_up(truncate(Sides(cuts[a], cuts[a + 1], cuts[b], cuts[b + 1]), room, rng)), labels
