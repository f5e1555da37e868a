"""Paragraphs in another order."""

from __future__ import annotations

from itertools import permutations
from pathlib import Path

import numpy as np
import pytest

from kepipe.data.reordering import num_orders, orders, plan_reordered
from tests.support.labelled import document, segment_texts, shard_of
from tests.support.shards import random_documents, write_shard


def test_orders_are_counted_and_listed() -> None:
    assert [num_orders(m) for m in (1, 2, 3, 4)] == [1, 3, 9, 33]
    assert orders(3).tolist() == [list(order) for order in permutations(range(3))]


def test_the_label_restores_the_order_of_the_segments(tmp_path: Path) -> None:
    """Sentences a b c d, m = 3: the cuts and orders can be counted by hand."""
    shard = shard_of(tmp_path, [document(["a", "b", "c", "d"])])
    names = [list(order) for count in (1, 2, 3) for order in permutations(range(count))]
    seen = set()
    for seed in range(400):
        examples, labels = plan_reordered(shard, 16, 3, np.random.default_rng(seed))
        (row,), (label,) = segment_texts(shard, examples), labels.tolist()
        order = names[label]
        back = [""] * len(order)
        for shown, number in zip(row, order, strict=True):
            back[number] = shown
        assert " ".join(back) == "a b c d"
        seen.add((label, tuple(row)))
    # 1 of one segment, 3 cuts × 2 orders of two, 3 pairs of cuts × 6 orders of three
    assert len(seen) == 1 + 6 + 18


def test_counts_cuts_and_orders_are_uniform(tmp_path: Path) -> None:
    shard = write_shard(tmp_path, random_documents(np.random.default_rng(0), 4000, longest=20))
    examples, labels = plan_reordered(shard, 128, 3, np.random.default_rng(1))
    number = len(labels)
    assert number > 3000
    expected = np.array([1 / 3] + [1 / 6] * 2 + [1 / 18] * 6)
    spread = 4 * np.sqrt(expected * (1 - expected) / number)
    assert (np.abs(np.bincount(labels, minlength=9) / number - expected) < spread).all()
    assert examples.lengths.max() <= 128
    assert (np.diff(examples.first) == np.repeat([1, 2, 3], [1, 2, 6])[labels]).all()


def test_segments_begin_with_sentences_and_partition_the_paragraph(tmp_path: Path) -> None:
    shard = write_shard(tmp_path, random_documents(np.random.default_rng(2), 200))
    examples, _ = plan_reordered(shard, 256, 4, np.random.default_rng(3))
    assert np.isin(examples.starts, shard.sentences).all()
    assert np.isin(examples.stops, shard.sentences).all()
    for first, after in zip(examples.first[:-1], examples.first[1:], strict=True):
        order = np.argsort(examples.starts[first:after])
        starts, stops = examples.starts[first:after][order], examples.stops[first:after][order]
        assert (starts[1:] == stops[:-1]).all()
        inside = (shard.documents > starts[0]) & (shard.documents < stops[-1])
        assert not inside.any()


def test_too_few_sentences_are_an_error(tmp_path: Path) -> None:
    shard = shard_of(tmp_path, [document(["one", "two"], "a")])
    with pytest.raises(ValueError, match="set fewer `segments`"):
        plan_reordered(shard, 16, 3, np.random.default_rng(0))
