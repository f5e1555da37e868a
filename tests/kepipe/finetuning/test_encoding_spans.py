"""Spans of tokens: which tokens a row keeps, where its windows start, how markers move them."""

from __future__ import annotations

import numpy as np
import pytest

from kepipe.data.document import Span
from kepipe.finetuning.encoding import (
    RowFormat,
    Text,
    cut,
    encode_rows,
    insert_markers,
    keep_nearest,
    window_starts,
)
from kepipe.finetuning.examples import Example
from kepipe.tokenization.tokenizer import load_tokenizer


@pytest.mark.parametrize(
    ("size", "room", "overlap", "starts"),
    [
        (10, 4, None, [0]), (4, 4, 1, [0]), (5, 4, 1, [0, 1]), (10, 4, 0, [0, 4, 6]), (10, 4, 1, [0, 3, 6]),
        (10, 4, 3, [0, 2, 4, 6]), (3, 1, 1, [0, 1, 2]),
    ],
)  # fmt: skip
def test_window_starts(size: int, room: int, overlap: int | None, starts: list[int]) -> None:
    assert window_starts(size, room, overlap) == starts


@pytest.mark.parametrize(
    ("spans", "room", "kept"),
    [
        (None, 3, [0, 1, 2]), ([], 3, [0, 1, 2]), ([[4, 6]], 4, [3, 4, 5, 6]), ([[4, 6]], 3, [3, 4, 5]),
        ([[4, 6]], 2, [4, 5]), ([[4, 4]], 3, [3, 4, 5]), ([[0, 1], [9, 10]], 4, [0, 1, 8, 9]),
        ([[2, 3]], 20, list(range(10))),
    ],
)  # fmt: skip
def test_keep_nearest_selects_tokens_near_the_spans(
    spans: list[list[int]] | None, room: int, kept: list[int]
) -> None:
    found = keep_nearest(10, None if spans is None else np.array(spans).reshape(-1, 2), room)
    assert np.flatnonzero(found).tolist() == kept


def text_of(spans: list[list[int]], mentions: list[list[int]]) -> Text:
    """Three tokens, 10, 11 and 12, of two letters each."""
    letters = np.array([[0, 2], [2, 4], [4, 6]])
    entities = [f"Q{number}" for number in range(len(mentions))]
    return Text(np.array([10, 11, 12]), np.array(spans), np.array(mentions).reshape(-1, 2), entities, letters)


def test_truncation_shifts_spans_and_drops_cut_mentions() -> None:
    short = cut(text_of([[0, 1], [1, 3]], [[0, 1], [1, 3], [2, 3]]), np.array([False, True, True]))
    assert short.tokens.tolist() == [11, 12]
    assert short.spans.tolist() == [[0, 0], [0, 2]]
    assert (short.mentions.tolist(), short.entities) == ([[0, 2], [1, 2]], ["Q1", "Q2"])
    assert short.characters.tolist() == [[2, 4], [4, 6]]


def test_adjacent_markers_close_before_they_open() -> None:
    marked, openings, closings = insert_markers(text_of([[0, 1], [1, 3]], [[0, 1], [1, 3], [2, 3]]), (1, 2))
    assert marked.tokens.tolist() == [1, 10, 1, 2, 11, 12, 2]
    assert (openings.tolist(), closings.tolist()) == ([0, 3], [2, 6])
    assert marked.spans.tolist() == [[1, 2], [4, 6]]
    assert marked.mentions.tolist() == [[1, 2], [4, 6], [5, 6]]


def test_mention_around_markers_begins_after_its_first_and_ends_after_its_last_token() -> None:
    marked, _, _ = insert_markers(text_of([[0, 1], [1, 3]], [[0, 3], [0, 2], [1, 1]]), (1, 2))
    assert marked.tokens.tolist() == [1, 10, 1, 2, 11, 12, 2]
    assert marked.mentions.tolist() == [[1, 6], [1, 5], [4, 5]]


def test_text_without_markers_stays_as_it_is() -> None:
    text = text_of([[0, 1]], [])
    marked, openings, closings = insert_markers(text, ())
    assert marked is text
    assert (openings.tolist(), closings.tolist()) == ([], [])


def test_decoder_reads_a_word_of_one_token_at_that_token() -> None:
    form = RowFormat(load_tokenizer("minilm"), 16, "words", begin=False, causal=True)
    (row,) = encode_rows([Example("x", "a moon", (Span(0, 1), Span(2, 6)))], form)
    assert row.read_positions == (0, 1)
