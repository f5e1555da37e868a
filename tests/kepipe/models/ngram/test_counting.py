"""Counting of n-grams: exact, for any chunk size."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from kepipe.models.ngram import counting
from kepipe.models.ngram.counting import BOS, Counts, continuations, count
from tests.support.ngrams import Ngram, counted, occurrences, stream, zipf


def ngrams(counts: Counts, order: int) -> list[Ngram]:
    """The words of every n-gram of an order, in the order of the table."""
    if order == 1:
        return [(word,) for word in range(len(counts.unigrams))]
    below = ngrams(counts, order - 1)
    mask = (1 << counts.bits) - 1
    return [(*below[key >> counts.bits], key & mask) for key in counts.tables[order - 2].keys[:].tolist()]


def as_counter(counts: Counts, order: int) -> Counter[Ngram]:
    values = counts.unigrams if order == 1 else counts.tables[order - 2].counts[:]
    return Counter({ngram: c for ngram, c in zip(ngrams(counts, order), values.tolist(), strict=True) if c})


@pytest.mark.parametrize("stretch", [7, 64, 1 << 20])
def test_n_grams_of_every_order_are_counted_exactly(
    stretch: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "STRETCH", stretch)
    text = zipf(1, 60, 30)
    counts = counted(text, 30, 4, tmp_path / "c")
    for order in (2, 3, 4):
        assert as_counter(counts, order) == occurrences(text, order)
        assert ngrams(counts, order) == sorted(ngrams(counts, order))
    assert counts.unigrams[BOS] == 60
    assert not list((tmp_path / "c").glob("**/run-*")), "temporary files are removed"


def test_n_gram_has_the_index_of_its_suffix(tmp_path: Path) -> None:
    counts = counted(zipf(2, 60, 20), 20, 4, tmp_path / "c")
    for order in (2, 3, 4):
        below, here = ngrams(counts, order - 1), ngrams(counts, order)
        partners = counts.tables[order - 2].partners[:].tolist()
        assert [below[row] for row in partners] == [ngram[1:] for ngram in here]


def test_distinct_words_before_an_n_gram_are_counted(tmp_path: Path) -> None:
    text = zipf(3, 80, 15)
    counts = counted(text, 15, 3, tmp_path / "c")
    for order in (1, 2):
        different: Counter[Ngram] = Counter(ngram[1:] for ngram in occurrences(text, order + 1))
        raw = occurrences(text, order)
        expected = [
            raw[ngram] if ngram[0] == BOS and order > 1 else different[ngram]
            for ngram in ngrams(counts, order)
        ]
        assert continuations(counts, order).tolist() == expected


def test_n_grams_at_the_beginning_of_a_text_are_adjacent(tmp_path: Path) -> None:
    counts = counted(zipf(4, 50, 12), 12, 4, tmp_path / "c")
    for order in (1, 2, 3, 4):
        own = counts.begins(order)
        begins = [ngram[0] == BOS for ngram in ngrams(counts, order)]
        assert begins == [own.start <= row < own.stop for row in range(len(begins))]


def test_counting_in_chunks_equals_counting_at_once(tmp_path: Path) -> None:
    whole = stream(zipf(5, 40, 12))
    at_once = count([whole], 12, 3, tmp_path / "a")
    in_parts = count(np.array_split(whole, 9), 12, 3, tmp_path / "b")
    for one, other in zip(at_once.tables, in_parts.tables, strict=True):
        assert np.array_equal(one.keys[:], other.keys[:])
        assert np.array_equal(one.counts[:], other.counts[:])


def test_counting_memory_does_not_grow_with_the_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import tracemalloc

    monkeypatch.setattr(counting, "STRETCH", 4096)
    rng, peaks = np.random.default_rng(6), []
    for parts in (10, 60):
        text = (np.append(rng.integers(1, 900, 3999), 1) + 2 for _ in range(parts))
        tracemalloc.start()
        counts = count(text, 903, 4, tmp_path / str(parts))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert counts.size(4) > 3900 * parts
    assert peaks[1] < 2 * peaks[0], "of a text six times as long"


def test_empty_text_and_too_large_vocabulary_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no text to count"):
        count([], 10, 3, tmp_path / "a")
    with pytest.raises(ValueError, match="too large"):
        counting.word_bits((1 << 30) + 1)
