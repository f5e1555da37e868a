"""Paragraphs with shuffled segments (Sun et al. 2020, "ERNIE 2.0", §4.2.2)."""

from __future__ import annotations

from itertools import permutations
from math import factorial

import numpy as np

from kepipe.arrays import Ints
from kepipe.data.examples import Examples, cut_sentences, fill_rows
from kepipe.data.shards import Shard


def num_orders(segments: int) -> int:
    """Classes: 1! + 2! + … + m! for up to m segments."""
    return sum(factorial(count) for count in range(1, segments + 1))


def orders(count: int) -> Ints:
    """All permutations of `count` segments, in lexicographic order: int [count!, count]. Entry j is the index of the
    segment at position j."""
    return np.array(list(permutations(range(count))), np.int64)


def plan_reordered(
    shard: Shard, length: int, segments: int, rng: np.random.Generator
) -> tuple[Examples, Ints]:
    """Rows `[CLS] segment [SEP] segment [SEP] …` of at most `length` tokens, and the label of each: int [rows].

    A paragraph is as many sentences of a document as fit. It is cut at random sentence boundaries into n segments, n
    uniform in 1..m, which are put into a uniformly drawn one of the n! orders. Its label is 1! + … + (n − 1)! plus the
    index of the order in `orders(n)`. Paragraphs of fewer than m sentences are not used, so that all n are equally
    likely. Raises ValueError if there is no usable paragraph.
    """
    room = length - 1 - segments
    cuts, of = cut_sentences(shard, room)
    first = fill_rows(cuts, of, room)
    sizes = np.diff(np.append(first, len(of)))
    first, sizes = first[sizes >= segments], sizes[sizes >= segments]
    if not len(first):
        raise ValueError(
            f"{shard.folder}: no {segments} sentences of one document fit into {length} tokens: set fewer `segments` "
            "or a larger `length`"
        )
    counts = rng.integers(1, segments + 1, len(first))
    starts, stops = _segments(cuts, first, sizes, counts, rng)
    ends = np.cumsum(counts)
    begins = ends - counts
    labels, order = np.zeros(len(first), np.int64), np.zeros(ends[-1], np.int64)
    draws = rng.random(len(first))
    for count in range(1, segments + 1):
        these, known = np.flatnonzero(counts == count), orders(count)
        chosen = (draws[these] * len(known)).astype(np.int64)
        labels[these] = num_orders(count - 1) + chosen
        order[begins[these][:, None] + np.arange(count)] = begins[these][:, None] + known[chosen]
    opens = np.zeros(len(order), np.bool_)
    opens[begins] = True
    examples = Examples(
        first=np.append(begins, ends[-1]),
        starts=starts[order],
        stops=stops[order],
        opens=opens,
        closes=np.ones(len(order), np.bool_),
        segment=np.zeros(len(order), np.int64),
        document=np.ones(len(order), np.int64),
    )
    return examples, labels


def _segments(
    cuts: Ints, first: Ints, sizes: Ints, counts: Ints, rng: np.random.Generator
) -> tuple[Ints, Ints]:
    """Starts and stops in the stream of the segments of paragraphs of `sizes` sentences, row by row: int [segments]
    each."""
    row = np.repeat(np.arange(len(first)), sizes)
    begins = np.cumsum(sizes) - sizes
    keys = rng.random(len(row))
    keys[begins] = -1.0  # the first sentence always begins a segment
    rank = np.empty(len(row), np.int64)
    rank[np.lexsort((keys, row))] = np.arange(len(row)) - begins[row]
    opening = rank < counts[row]
    sentence = first[row] + np.arange(len(row)) - begins[row]
    starts, of = cuts[sentence[opening]], row[opening]
    last = np.append(of[1:] != of[:-1], True)
    stops = np.append(starts[1:], 0)
    stops[last] = cuts[first + sizes]
    return starts, stops
