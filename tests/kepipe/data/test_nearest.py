from __future__ import annotations

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer

from kepipe.data.content import content_words
from kepipe.data.nearest import TopK, by_tf_idf, by_vectors, choose

RNG = np.random.default_rng(3)
WORDS = np.array([f"word{number}" for number in range(300)])
TEXTS = [" ".join(RNG.choice(WORDS, RNG.integers(3, 12))) for _ in range(500)]
QUERIES = [" ".join(RNG.choice(WORDS, 6)) for _ in range(20)]


def test_tf_idf_agrees_with_scikit_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kepipe.data.nearest.BLOCK", 64)
    found = by_tf_idf(QUERIES, lambda: iter(TEXTS), content_words, 5)
    vectorizer = TfidfVectorizer(analyzer=content_words, sublinear_tf=True)
    texts_NF = vectorizer.fit_transform(TEXTS)
    cosines_QN = (vectorizer.transform(QUERIES) @ texts_NF.T).toarray()
    best_QK = -np.sort(-cosines_QN, axis=1)[:, :5]
    np.testing.assert_allclose(found.scores, best_QK, atol=1e-5)
    np.testing.assert_allclose(np.take_along_axis(cosines_QN, found.rows, 1), best_QK, atol=1e-5)


@pytest.mark.parametrize("block", [7, 500, 10_000])
def test_vectors_are_searched_exactly_in_blocks_of_any_size(block: int) -> None:
    vectors_ND = RNG.normal(size=(500, 8)).astype(np.float16)
    queries_QD = RNG.normal(size=(6, 8)).astype(np.float32)
    found = by_vectors(queries_QD, vectors_ND, 9, block=block)
    scores_QN = queries_QD @ vectors_ND.astype(np.float32).T
    np.testing.assert_array_equal(found.rows, np.argsort(-scores_QN, axis=1)[:, :9])


def test_missing_neighbours_are_minus_one() -> None:
    found = by_vectors(np.eye(2, dtype=np.float32), np.eye(2, dtype=np.float32), 3)
    assert found.rows.tolist() == [[0, 1, -1], [1, 0, -1]]
    assert choose(found, None).tolist() == [0, 1]


def test_the_nearest_of_all_queries_are_chosen_before_the_second_nearest() -> None:
    found = TopK(2, 2)
    found.add(np.array([[0.9, 0.8, 0.0, 0.0], [0.9, 0.0, 0.2, 0.0]], np.float32), 0)
    assert choose(found, None).tolist() == [0, 1, 2]
    assert choose(found, 2).tolist() == [0, 1]
    assert choose(found, 1).tolist() == [0]


def test_texts_without_common_words_are_not_chosen() -> None:
    found = by_tf_idf(["apple"], lambda: iter(["pear", "plum"]), content_words, 2)
    assert len(choose(found, None)) == 0
