"""Word profiles of entities: the words of the description and of the neighbours' labels, weighted by tf-idf."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain

import numpy as np
import scipy.sparse as sp

from kepipe.linking.kb.sparse import Matrix
from kepipe.linking.text.words import split_words
from kg.store import Graph

MAX_PROFILE_WORDS = 100
"""A profile keeps the words with the largest weights, at most this many, so that hubs (a country) cost no more."""


def build_profiles(graph: Graph, neighbours: Matrix) -> tuple[list[str], Matrix]:
    """The vocabulary of W words, and the profiles: [E, W], rows of L2 norm 1."""
    texts = chain(graph.labels, graph.descriptions)
    counts, words = _count_words(texts, 2 * len(graph))
    labels, descriptions = counts[: len(graph)], counts[len(graph) :]
    frequency = np.bincount(counts.indices, minlength=len(words)) + 1
    near = sp.csr_array(descriptions + neighbours @ labels)
    near.data = np.log1p(near.data) * np.log(len(graph) / frequency + 1.0)[near.indices]
    return words, _strongest(near, MAX_PROFILE_WORDS)


def _count_words(texts: Iterable[str], number: int) -> tuple[Matrix, list[str]]:
    """Word counts of each text: [number, W], and the words in the order of their columns."""
    columns: dict[str, int] = {}
    indices: list[int] = []
    ends = [0]
    for text in texts:
        indices += [columns.setdefault(word, len(columns)) for word in split_words(text)]
        ends.append(len(indices))
    matrix = sp.csr_array(
        (np.ones(len(indices), np.float32), np.asarray(indices, np.int32), np.asarray(ends, np.int64)),
        shape=(number, len(columns)),
    )
    matrix.sum_duplicates()
    return matrix, list(columns)


def _strongest(matrix: Matrix, count: int) -> Matrix:
    """Keep the `count` largest values of each row, and scale the row to L2 norm 1."""
    rows = np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))
    order = np.lexsort((matrix.indices, -matrix.data, rows))
    rank = np.arange(len(order)) - matrix.indptr[rows[order]]
    kept = order[rank < count]
    rows, columns, values = rows[kept], matrix.indices[kept], matrix.data[kept].astype(np.float64)
    lengths = np.sqrt(np.bincount(rows, values**2, minlength=matrix.shape[0]))
    scaled = (values / lengths[rows]).astype(np.float32)
    result = sp.csr_array((scaled, (rows, columns)), shape=matrix.shape)
    result.sort_indices()
    return result
