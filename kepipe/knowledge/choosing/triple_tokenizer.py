"""Tokenisation of triples: names of relations and objects are encoded lazily and cached."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from kepipe.arrays import Ints, Ints32, ranges
from kepipe.tokenization.tokenizer import Tokenizer
from kg.store import Graph, Triples


class TripleTokenizer:
    """Encodes a triple as a branch: the tokens of its relation's label (if `predicate`), then of its object's label."""

    def __init__(self, graph: Graph, tokenizer: Tokenizer, predicate: bool) -> None:
        self._objects = _Names(graph.labels, len(graph), tokenizer)
        labels = (
            [relation.label for relation in graph.relations] if predicate else [""] * len(graph.relations)
        )
        self._relations = _Names(labels, len(labels), tokenizer)

    def branches(self, triples: Triples) -> tuple[Ints, Ints]:
        """The length of each triple's branch, int [n], and the concatenated tokens of all branches."""
        relation_starts, relation_lengths = self._relations.find(triples[:, 1])
        object_starts, object_lengths = self._objects.find(triples[:, 2])
        lengths = relation_lengths + object_lengths
        tokens = np.empty(lengths.sum(), np.int64)
        at = np.cumsum(lengths) - lengths
        tokens[ranges(at, relation_lengths)] = self._relations.tokens[
            ranges(relation_starts, relation_lengths)
        ]
        at += relation_lengths
        tokens[ranges(at, object_lengths)] = self._objects.tokens[ranges(object_starts, object_lengths)]
        return lengths, tokens


class _Names:
    """A thread-safe cache of the tokens of names, by row."""

    def __init__(self, names: Sequence[str], count: int, tokenizer: Tokenizer) -> None:
        self._names, self._tokenizer = names, tokenizer
        self._starts = np.full(count, -1, np.int64)
        self._lengths = np.zeros(count, np.int64)
        self._pool = np.empty(1024, np.int64)
        self._used = 0
        self._lock = threading.Lock()

    @property
    def tokens(self) -> Ints:
        """The tokens of all names encoded so far; `find` returns the range of each name."""
        return self._pool

    def find(self, rows: Ints32) -> tuple[Ints, Ints]:
        """The start of each row's name in `tokens`, and its length: int [n] each."""
        if (self._starts[rows] < 0).any():
            with self._lock:
                self._encode(np.unique(rows[self._starts[rows] < 0]))
        return self._starts[rows], self._lengths[rows]

    def _encode(self, rows: Ints32) -> None:
        # The leading space is that of running text, for tokenizers that encode spaces.
        encoded = self._tokenizer.encode([f" {self._names[row]}" for row in rows.tolist()])
        text = encoded.ends > np.maximum(encoded.starts, 1)  # drop a token that is only this space
        owners = np.repeat(np.arange(len(rows)), encoded.lengths)[text]
        lengths = np.bincount(owners, minlength=len(rows))
        end = self._used + len(owners)
        if end > len(self._pool):
            grown = np.empty(max(end, 2 * len(self._pool)), np.int64)
            grown[: self._used] = self._pool[: self._used]
            self._pool = grown
        self._pool[self._used : end] = encoded.tokens[text]
        # Starts are written last: other threads take a row with a start as encoded.
        self._lengths[rows] = lengths
        self._starts[rows] = self._used + np.cumsum(lengths) - lengths
        self._used = end
