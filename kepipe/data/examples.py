"""Examples as ranges of the token stream, and helpers that formats use to plan them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kepipe.arrays import Bools, Ints
from kepipe.data.shards import Shard


@dataclass(frozen=True)
class Examples:
    """N examples of P pieces, each a range of the stream.

    Example i has the pieces `first[i]` to `first[i + 1]`: int [N + 1]. Of a piece, int or bool [P]: the tokens
    `starts` to `stops`; whether it `opens` with [CLS] and `closes` with [SEP]; its number `segment` (0, 1) and
    `document` (from 1, within the example). `next_sentence_labels`: int [N], for pairs, 1 where the second truly
    follows.
    """

    first: Ints
    starts: Ints
    stops: Ints
    opens: Bools
    closes: Bools
    segment: Ints
    document: Ints
    next_sentence_labels: Ints | None = None

    def __len__(self) -> int:
        return len(self.first) - 1

    @cached_property
    def lengths(self) -> Ints:
        """Tokens of each example, special tokens included: int [N]."""
        sizes = np.append(0, np.cumsum(self.stops - self.starts + self.opens + self.closes))
        return np.diff(sizes[self.first])


def cut_sentences(shard: Shard, longest: int) -> tuple[Ints, Ints]:
    """Starts of sentences, int [sentences + 1], and the document (from 0) of each, int [sentences].

    Sentences above `longest` tokens are cut into parts. The last start is the stream's length.
    """
    starts, sizes = shard.sentences[:-1], np.diff(shard.sentences)
    parts = -(-sizes // longest)
    nth = np.arange(parts.sum()) - np.repeat(np.cumsum(parts) - parts, parts)
    cuts = np.repeat(starts, parts) + nth * longest
    return np.append(cuts, len(shard)), np.searchsorted(shard.documents, cuts, side="right") - 1


def chain_starts(successors: Sequence[int], end: int) -> Ints:
    """The chain 0, successors[0], successors[successors[0]], … below `end`."""
    visited, place = [], 0
    while place < end:
        visited.append(place)
        place = successors[place]
    return np.array(visited, dtype=np.int64)


def fill_rows(cuts: Ints, of: Ints, room: int) -> Ints:
    """The first sentence of each row, int [rows]; a row takes as many sentences of one document as fit into `room`
    tokens. `cuts`, `of`: from `cut_sentences`."""
    fitting = np.searchsorted(cuts, room + cuts[:-1], side="right") - 1
    ends = np.searchsorted(of, of, side="right")
    return chain_starts(np.minimum(fitting, ends).tolist(), len(of))
