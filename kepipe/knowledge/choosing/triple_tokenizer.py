"""Triples as tokens: the names of relations and objects, each encoded once, when it is first needed."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np

from kepipe.arrays import Ints, Ints32, ranges
from kepipe.tokenization.tokenizer import Tokenizer
from kg.store import Graph, Triples


class TripleTokenizer:
    """A triple's branch: the tokens of its relation's label (where `predicate`), then those of its object's."""

    def __init__(self, graph: Graph, tokenizer: Tokenizer, predicate: bool) -> None:
        self._objects = _Names(graph.labels, len(graph), tokenizer)
        labels = (
            [relation.label for relation in graph.relations] if predicate else [""] * len(graph.relations)
        )
        self._relations = _Names(labels, len(labels), tokenizer)

    def branches(self, triples: Triples) -> tuple[Ints, Ints]:
        """Length of each triple's branch, int [n], and the tokens of all, one branch after the other."""
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
    """The tokens of names, by row. Several threads may look up at once."""

    def __init__(self, names: Sequence[str], count: int, tokenizer: Tokenizer) -> None:
        self._names, self._tokenizer = names, tokenizer
        self._starts = np.full(count, -1, np.int64)
        self._lengths = np.zeros(count, np.int64)
        self._pool = np.empty(1024, np.int64)
        self._used = 0
        self._lock = threading.Lock()

    @property
    def tokens(self) -> Ints:
        """The tokens of all names encoded so far; `find` says where each name's are."""
        return self._pool

    def find(self, rows: Ints32) -> tuple[Ints, Ints]:
        """Where in `tokens` each row's name starts, and its length: int [n] both."""
        if (self._starts[rows] < 0).any():
            with self._lock:
                self._encode(np.unique(rows[self._starts[rows] < 0]))
        return self._starts[rows], self._lengths[rows]

    def _encode(self, rows: Ints32) -> None:
        # The blank before a name is where one stands in running text; tokenizers that write blanks need it.
        encoded = self._tokenizer.encode([f" {self._names[row]}" for row in rows.tolist()])
        text = encoded.ends > np.maximum(encoded.starts, 1)  # a piece that is that blank alone says nothing
        owners = np.repeat(np.arange(len(rows)), encoded.lengths)[text]
        lengths = np.bincount(owners, minlength=len(rows))
        end = self._used + len(owners)
        if end > len(self._pool):
            grown = np.empty(max(end, 2 * len(self._pool)), np.int64)
            grown[: self._used] = self._pool[: self._used]
            self._pool = grown
        self._pool[self._used : end] = encoded.tokens[text]
        # Starts are written last: another thread takes a row that has one as encoded.
        self._lengths[rows] = lengths
        self._starts[rows] = self._used + np.cumsum(lengths) - lengths
        self._used = end
