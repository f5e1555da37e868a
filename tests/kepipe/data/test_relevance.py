"""Queries and passages."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kepipe.data.relevance import plan_relevance
from kepipe.data.shards import Shard
from tests.support.labelled import document, minilm, segment_texts, shard_of


def planned(shard: Shard, seed: int, length: int = 32) -> list[tuple[str, str, int]]:
    joined, examples, labels = plan_relevance(
        shard, shard.titles(), minilm(), length, np.random.default_rng(seed)
    )
    assert examples.lengths.max() <= length
    return [
        (*row, label) for row, label in zip(segment_texts(joined, examples), labels.tolist(), strict=True)
    ]  # type: ignore[misc]


def test_queries_are_titles_or_first_sentences_and_weak_ones_share_the_rarest_word(tmp_path: Path) -> None:
    documents = [
        document(["a moon of mars.", "it is small."], "one", title="Phobos moon"),
        document(["venus has no moon.", "it is hot."], "two"),
        document(["phobos was found late.", "by hall."], "three", title="Hall"),
        document(["grey wolves hunt.", "wolves sleep."], "four", title="Wolves"),
    ]
    shard = shard_of(tmp_path, documents)
    assert shard.titles() == ["Phobos moon", "", "Hall", "Wolves"]
    query = {"phobos moon": 0, "venus has no moon.": 1, "hall": 2, "wolves": 3}
    passage = {
        "a moon of mars. it is small.": 0, "it is hot.": 1, "phobos was found late. by hall.": 2,
        "grey wolves hunt. wolves sleep.": 3,
    }  # fmt: skip
    seen = set()
    for seed in range(60):
        for first, second, label in planned(shard, seed):
            seen.add((query[first], passage[second], label))
    # The rarest shared word of query 0 is "phobos" (once, in three), of query 1 "moon" (in one); "hall" and "wolves"
    # occur only in their own documents, whose passages no other query finds.
    weak = {(q, p) for q, p, label in seen if label == 1}
    assert weak == {(1, 0), (0, 2)}
    strong = {(q, p) for q, p, label in seen if label == 0}
    assert strong == {(0, 0), (2, 2)}
    none = {(q, p) for q, p, label in seen if label == 2}
    assert none == {(q, p) for p in (0, 2) for q in range(4) if q != p}


def test_labels_are_equally_likely(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    words = ["sun", "moon", "star", "sea", "tree", "house", "road", "king", "ship", "stone"]

    def sentence() -> str:
        return " ".join(rng.choice(words, 4)) + "."

    documents = [document([sentence() for _ in range(12)], f"d{n}", title=words[n % 10]) for n in range(300)]
    labels = [label for _, _, label in planned(shard_of(tmp_path, documents), 1, 24)]
    assert len(labels) > 500
    shares = np.bincount(labels, minlength=3) / len(labels)
    assert shares == pytest.approx([1 / 3] * 3, abs=4 * np.sqrt(2 / 9 / len(labels)))


def test_documents_without_a_common_word_are_an_error(tmp_path: Path) -> None:
    shard = shard_of(tmp_path, [document(["red", "blue"], "a"), document(["one", "two"], "b")])
    with pytest.raises(ValueError, match="no two documents share a word"):
        planned(shard, 0)
