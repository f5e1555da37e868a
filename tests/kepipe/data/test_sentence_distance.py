"""Pairs of sentences by their distance."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kepipe.data.sentence_distance import plan_distances
from tests.support.labelled import document, segment_texts, shard_of
from tests.support.shards import random_documents, write_shard


def test_each_label_is_correct(tmp_path: Path) -> None:
    documents = [["red", "blue", "green", "grey"], ["one", "two", "three", "four", "five"], ["sun", "moon"]]
    places = {word: (d, s) for d, words in enumerate(documents) for s, word in enumerate(words)}
    shard = shard_of(tmp_path, [document(words, str(d)) for d, words in enumerate(documents)])
    seen = set()
    for seed in range(40):
        examples, labels = plan_distances(shard, 16, np.random.default_rng(seed))
        for (first, second), label in zip(segment_texts(shard, examples), labels.tolist(), strict=True):
            (one, here), (other, there) = places[first], places[second]
            if one != other:
                distance = 2
            else:
                distance = 0 if there == here + 1 else 1
                assert there == here + 1 or abs(there - here) > 1
            assert label == distance
            seen.add((first, second))
    # Sentences 0 to n − 2 of the first two documents begin pairs: the third has no two that are apart.
    assert {first for first, _ in seen} == {"red", "blue", "green", "one", "two", "three", "four"}
    assert ("red", "green") in seen
    assert ("five", "one") not in seen
    assert ("four", "two") in seen


def test_labels_are_equally_likely_and_other_documents_uniform(tmp_path: Path) -> None:
    shard = write_shard(tmp_path, random_documents(np.random.default_rng(0), 3000))
    examples, labels = plan_distances(shard, 64, np.random.default_rng(1))
    shares = np.bincount(labels) / len(labels)
    assert shares == pytest.approx([1 / 3] * 3, abs=4 * np.sqrt(2 / 9 / len(labels)))
    assert examples.lengths.max() <= 64
    starts = examples.starts.reshape(-1, 2)
    a, b = (np.searchsorted(shard.documents, column, side="right") - 1 for column in starts.T)
    assert ((a != b) == (labels == 2)).all()
    halves = b[labels == 2] >= 1500
    assert halves.mean() == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(len(halves)))


def test_a_text_without_three_sentences_is_an_error(tmp_path: Path) -> None:
    shard = shard_of(tmp_path, [document(["one", "two"], "a"), document(["three", "four"], "b")])
    with pytest.raises(ValueError, match="one of them of 3 sentences"):
        plan_distances(shard, 16, np.random.default_rng(0))
