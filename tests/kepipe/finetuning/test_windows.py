"""Long texts in windows: all tokens are covered, and predictions of several windows are merged."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kepipe.finetuning.encoding import RowFormat, TruncationStats, encode_rows, window_starts
from kepipe.finetuning.examples import Example, from_words
from kepipe.finetuning.label_output import ONE_LABEL, probabilities
from kepipe.finetuning.output import AnswerFormat
from kepipe.finetuning.windows import merge_word_values
from kepipe.tokenization.tokenizer import load_tokenizer

MINILM = load_tokenizer("minilm")
TEXT = " ".join(f"Word{number} unbelievable" for number in range(30))


def row_format(**changes: Any) -> RowFormat:
    return RowFormat(**({"tokenizer": MINILM, "length": 24, "reads": "row", "overlap": 6} | changes))


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 400), st.integers(4, 64), st.integers(1, 80))
def test_windows_cover_a_text_with_the_configured_overlap(length: int, room: int, overlap: int) -> None:
    starts = window_starts(length, room, overlap)
    covered = np.zeros(length, np.int64)
    for start in starts:
        covered[start : start + room] += 1
    assert covered.min() == 1
    assert starts == sorted(set(starts))
    assert starts[-1] == max(0, length - room)
    shared = [before + room - after for before, after in pairwise(starts)]
    assert all(size >= min(overlap, room // 2) for size in shared)
    assert len(starts) <= 1 + -(-(length - room) // max(1, room - min(overlap, room // 2))) or length <= room


def test_every_word_is_read_in_a_window_by_its_first_token() -> None:
    text, spans = from_words(TEXT.split())
    example = Example("x", text, tuple(spans))
    stats = TruncationStats()
    rows = encode_rows([example, example], row_format(reads="words"), stats)
    assert stats.cut == stats.words_cut == stats.words_empty == 0
    assert stats.windows == len(rows) - 2 > 6
    assert [row.example for row in rows] == sorted(row.example for row in rows)
    words = [row.read_words for row in rows if row.example == 0]
    assert sorted({number for numbers in words for number in numbers}) == list(range(60))
    whole = encode_rows([example], row_format(reads="words", length=400, overlap=None))[0]
    for row in rows:
        assert len(row) <= 24
        for number, place in zip(row.read_words, row.read_positions, strict=True):
            assert row.tokens[place] == whole.tokens[whole.read_positions[number]]


def test_first_text_of_a_pair_is_in_every_window() -> None:
    example = Example("x", "what is it?", second=TEXT)
    rows = encode_rows([example], row_format(reads="second"))
    question = MINILM.encode(["what is it?"]).tokens
    seen: set[int] = set()
    for row in rows:
        assert row.tokens[1 : 1 + len(question)].tolist() == question.tolist()
        assert row.characters is not None
        assert len(row.read_positions) == 1 + len(row.characters)
        seen |= {place for start, end in row.characters.tolist() for place in range(start, end)}
        first = row.read_positions[1]
        start, end = row.characters[0]
        piece = MINILM.backend.id_to_token(int(row.tokens[first]))
        assert piece.removeprefix("##") == TEXT[start:end].lower()
    assert seen == {place for place, character in enumerate(TEXT) if character != " "}


def test_text_without_overlap_is_truncated() -> None:
    stats = TruncationStats()
    (row,) = encode_rows([Example("x", TEXT)], row_format(overlap=None), stats)
    assert (len(row), stats.cut, stats.windows) == (24, 1, 0)


def test_word_gets_the_prediction_of_the_window_with_most_context() -> None:
    text, spans = from_words([*"abcdefghijkl"])
    rows = encode_rows([Example("x", text, tuple(spans))], row_format(reads="words", length=8, overlap=2))
    assert [list(row.read_words) for row in rows] == [
        [0, 1, 2, 3, 4, 5],
        [4, 5, 6, 7, 8, 9],
        [6, 7, 8, 9, 10, 11],
    ]
    parts = [np.full((6, 2), float(number)) for number in range(3)]
    together = merge_word_values(parts, rows)[:, 0]
    # word 4 has one word behind it in the first window and none before it in the second
    assert together.tolist() == [0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2]


def test_text_gets_the_mean_prediction_of_its_windows() -> None:
    answers = AnswerFormat(MINILM, ("a", "b"), 0, "row")
    rows = encode_rows([Example("x", TEXT)], row_format())
    parts = [np.array([[number, 0.0]]) for number in range(len(rows))]
    model: Any = None
    found = ONE_LABEL.merge(model, parts, rows, answers)
    expected = np.mean([1 / (1 + np.exp(-number)) for number in range(len(rows))])
    assert found[0, 0] == pytest.approx(expected)
    assert found.sum() == pytest.approx(1)


def test_words_outside_all_rows_have_no_probability() -> None:
    assert np.isnan(probabilities(np.full((2, 3), np.nan), several=False)).all()
