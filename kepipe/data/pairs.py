"""Pairs for next-sentence prediction (Devlin et al. 2019, appendix A.2), planned by array operations.

BERT walks through a document and puts unused sentences back, so that the start of an example depends on earlier draws.
Here, draws are made for every sentence as if an example started there, which gives a table of the next start; the walk
only follows the table.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kepipe.arrays import Ints
from kepipe.data.examples import Examples, chain_starts, cut_sentences
from kepipe.data.shards import Shard

SHORT = 0.1
"""Share of examples with a random target length below the maximum (BERT's `short_seq_prob`)."""


@dataclass(frozen=True)
class Sides:
    """The two segments of N pairs as ranges of the stream: int [N] each."""

    a_from: Ints
    a_to: Ints
    b_from: Ints
    b_to: Ints


def plan_pairs(shard: Shard, length: int, rng: np.random.Generator, natural: bool) -> Examples:
    """Pairs `[CLS] a [SEP] b [SEP]` of at most `length` tokens; b truly follows a in half of them.

    `natural`: a and b are single sentences; else segments that together fill the row. In the other half, b comes from
    another document, and the walk continues right after a. The last sentence of a document starts no pair: it could
    only be a negative, which would bias the labels.
    """
    if len(shard.documents) < 3:
        raise ValueError(
            f"{shard.folder}: pairs need at least 2 documents, since false pairs span two; use doc-sentences"
        )
    room = length - 3
    cuts, of = cut_sentences(shard, room)
    count = len(of)
    begins, ends = np.searchsorted(of, of, side="left"), np.searchsorted(of, of, side="right")
    place = np.arange(count)

    short = rng.random(count) < SHORT
    target = np.where(short, rng.integers(2, room + 1, count), room)
    reach = place + 2 if natural else np.maximum(np.searchsorted(cuts, cuts[:-1] + target), place + 2)
    reach = np.minimum(reach, ends)
    middle = place + 1 + (rng.random(count) * (reach - place - 1)).astype(np.int64)
    next_sentence_labels = rng.random(count) < 0.5
    pairs = reach - place >= 2

    visited = chain_starts(np.where(pairs & ~next_sentence_labels, middle, reach).tolist(), count)
    a = visited[pairs[visited]]
    if not len(a):
        raise ValueError(
            f"{shard.folder}: pairs need a document of at least two sentences; use full-sentences"
        )
    true = next_sentence_labels[a]
    wanted = np.maximum(target[a] - (cuts[middle[a]] - cuts[a]), 1)
    other = other_sentence(of[a], begins, ends, shard, of, rng)
    other_end = (
        other + 1 if natural else np.clip(np.searchsorted(cuts, cuts[other] + wanted), other + 1, ends[other])
    )
    b, b_end = np.where(true, middle[a], other), np.where(true, reach[a], other_end)
    sides = truncate(Sides(cuts[a], cuts[middle[a]], cuts[b], cuts[b_end]), room, rng)
    return pair_up(sides, true.astype(np.int64))


def other_sentence(
    mine: Ints, begins: Ints, ends: Ints, shard: Shard, of: Ints, rng: np.random.Generator
) -> Ints:
    """A uniform sentence of a uniform other document for each of `mine`."""
    documents = len(shard.documents) - 1
    document = rng.integers(0, documents - 1, len(mine))
    document += document >= mine
    first = np.searchsorted(of, document)
    return first + (rng.random(len(mine)) * (ends[first] - begins[first])).astype(np.int64)


def truncate(sides: Sides, room: int, rng: np.random.Generator) -> Sides:
    """Cut pairs down to `room` tokens: token by token from the longer segment, at its front or back by a coin."""
    a, b = sides.a_to - sides.a_from, sides.b_to - sides.b_from
    from_a, from_b = excess(a, b, room)
    front_a, front_b = rng.binomial(from_a, 0.5), rng.binomial(from_b, 0.5)
    return Sides(
        sides.a_from + front_a,
        sides.a_to - (from_a - front_a),
        sides.b_from + front_b,
        sides.b_to - (from_b - front_b),
    )


def excess(a: Ints, b: Ints, room: int) -> tuple[Ints, Ints]:
    """How many tokens segments of `a` and `b` tokens lose if one at a time is removed from the longer (at a tie, b)."""
    over = np.maximum(a + b - room, 0)
    level_a, level_b = np.minimum(over, np.maximum(a - b, 0)), np.minimum(over, np.maximum(b - a, 0))
    rest = over - level_a - level_b
    return level_a + rest // 2, level_b + (rest + 1) // 2


def pair_up(sides: Sides, next_sentence_labels: Ints | None = None) -> Examples:
    """Rows `[CLS] a [SEP] b [SEP]` of the pairs."""
    count = len(sides.a_from)
    return Examples(
        first=np.arange(0, 2 * count + 1, 2),
        starts=np.stack([sides.a_from, sides.b_from], axis=1).ravel(),
        stops=np.stack([sides.a_to, sides.b_to], axis=1).ravel(),
        opens=np.tile([True, False], count),
        closes=np.ones(2 * count, dtype=np.bool_),
        segment=np.tile([0, 1], count),
        document=np.ones(2 * count, dtype=np.int64),
        next_sentence_labels=next_sentence_labels,
    )
