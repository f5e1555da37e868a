"""Exact nearest-neighbour search over texts, block by block with constant memory.

For TF-IDF, words are hashed, so that no vocabulary is needed, and document frequencies are counted in a first pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from kepipe.arrays import Floats32, Ints

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

BLOCK = 2048
"""Texts per block."""
FEATURES = 2**20
"""Number of hash buckets for words."""
Texts = Callable[[], Iterator[str]]
"""Returns a new iterator over the texts at each call."""
Tick = Callable[[int], None]


@dataclass
class TopK:
    """The k best texts for each of Q queries among those added so far, best first.

    `rows`: int [Q, k], indices of texts, −1 if there are fewer than k; `scores`: float32 [Q, k], −inf for those.
    """

    queries: int
    k: int
    rows: Ints = field(init=False)
    scores: Floats32 = field(init=False)

    def __post_init__(self) -> None:
        self.rows = np.full((self.queries, self.k), -1, np.int64)
        self.scores = np.full((self.queries, self.k), -np.inf, np.float32)

    def add(self, scores_QB: Floats32, first: int) -> None:
        """Add a block of texts whose first has index `first`. On equal scores the earlier text ranks higher."""
        kept = min(self.k, scores_QB.shape[1])
        best_Qk = np.argpartition(-scores_QB, kept - 1, axis=1)[:, :kept]
        scores = np.concatenate([self.scores, np.take_along_axis(scores_QB, best_Qk, 1)], 1)
        rows = np.concatenate([self.rows, first + best_Qk], 1)
        order = np.lexsort((rows, -scores), axis=1)[:, : self.k]
        self.scores = np.take_along_axis(scores, order, 1)
        self.rows = np.take_along_axis(rows, order, 1)


def by_vectors(
    queries_QD: Floats32, vectors_ND: Any, k: int, tick: Tick = lambda _: None, block: int = BLOCK
) -> TopK:
    """The k texts with the highest cosine. `vectors_ND`: of norm 1, memory-mapped, of any float type."""
    found = TopK(len(queries_QD), k)
    for first in range(0, len(vectors_ND), block):
        vectors_BD = np.asarray(vectors_ND[first : first + block], np.float32)
        found.add(queries_QD @ vectors_BD.T, first)
        tick(len(vectors_BD))
    return found


@dataclass(frozen=True)
class TfIdf:
    """TF-IDF vectors: (1 + ln tf) · (ln((1 + n) / (1 + df)) + 1), as scikit-learn's `TfidfVectorizer` with
    `sublinear_tf`. `words` splits a text; `weights`: float32 [FEATURES], the second factor."""

    words: Callable[[str], list[str]]
    weights: Floats32

    @classmethod
    def fit(
        cls, texts: Iterable[str], words: Callable[[str], list[str]], tick: Tick = lambda _: None
    ) -> TfIdf:
        """Weights from the document frequencies in `texts`."""
        unweighted = cls(words, np.ones(0, np.float32))
        having, number = np.zeros(FEATURES, np.int64), 0
        for block in blocks(texts):
            counts_BF = unweighted.counts(block)
            having += np.bincount(counts_BF.indices, minlength=FEATURES)
            number += len(block)
            tick(len(block))
        return cls(words, (np.log((1 + number) / (1 + having)) + 1).astype(np.float32))

    @cached_property
    def _vectorizer(self) -> Any:
        from sklearn.feature_extraction.text import HashingVectorizer

        return HashingVectorizer(
            analyzer=self.words, n_features=FEATURES, norm=None, alternate_sign=False, dtype=np.float32
        )

    def counts(self, texts: Sequence[str]) -> csr_matrix:
        """Term frequencies."""
        counts_BF: csr_matrix = self._vectorizer.transform(texts)
        return counts_BF

    def vectors(self, texts: Sequence[str]) -> csr_matrix:
        """Vectors of norm 1 (0 for a text without words)."""
        from sklearn.preprocessing import normalize

        counts_BF = self.counts(texts)
        counts_BF.data = (1 + np.log(counts_BF.data)) * self.weights[counts_BF.indices]
        vectors_BF: csr_matrix = normalize(counts_BF, copy=False)
        return vectors_BF


def by_tf_idf(
    queries: Sequence[str],
    texts: Texts,
    words: Callable[[str], list[str]],
    k: int,
    tick: Tick = lambda _: None,
) -> TopK:
    """The k texts with the highest cosine of TF-IDF vectors. `texts` is called twice."""
    tf_idf, found = TfIdf.fit(texts(), words, tick), TopK(len(queries), k)
    queries_FQ, first = tf_idf.vectors(queries).T.tocsr(), 0
    for block in blocks(texts()):
        scores_BQ = (tf_idf.vectors(block) @ queries_FQ).toarray()
        found.add(np.ascontiguousarray(scores_BQ.T), first)
        first += len(block)
        tick(len(block))
    return found


def choose(found: TopK, most: int | None) -> Ints:
    """The sorted indices of at most `most` texts: first the nearest of every query, by score, then the second nearest,
    and so on. Texts without anything in common with a query are not its neighbours."""
    chosen: dict[int, None] = {}
    for rank in range(found.k):
        rows_Q, scores_Q = found.rows[:, rank], found.scores[:, rank]
        for query in np.argsort(-scores_Q, kind="stable").tolist():
            if scores_Q[query] <= 0 or (most is not None and len(chosen) >= most):
                break
            chosen.setdefault(int(rows_Q[query]))
    return np.sort(np.fromiter(chosen, np.int64, len(chosen)))


def blocks(texts: Iterable[str], size: int = BLOCK) -> Iterator[list[str]]:
    """The texts in lists of `size`."""
    texts = iter(texts)
    while block := list(islice(texts, size)):
        yield block
