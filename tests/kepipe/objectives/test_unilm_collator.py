"""Where UniLM splits rows into source and target."""

from __future__ import annotations

import numpy as np
import pytest

from kepipe.arrays import Bools
from kepipe.data.batch import TokenRows
from kepipe.objectives.unilm_collator import last_tokens, split, split_unrelated
from tests.support.rows import rows

WIDTH = 12


def row(sentences: list[int], second: int | None = None, follows: bool = True) -> TokenRows:
    """[CLS], a token for each number of `sentences`, [SEP], padding; from the token `second` on another segment."""
    at = np.arange(WIDTH)
    size = len(sentences) + 2
    numbers = np.full(WIDTH, -1)
    numbers[1 : size - 1] = sentences
    return rows(
        1,
        WIDTH,
        documents=(at < size).astype(np.int64)[None],
        special=(numbers < 0)[None],
        sentences=numbers[None],
        segments=((at >= second) & (at < size)).astype(np.int64)[None]
        if second
        else np.zeros((1, WIDTH), np.int64),
        next_sentence_labels=None if second is None else np.array([int(follows)]),
    )


def places(found_BT: Bools) -> list[int]:
    return np.flatnonzero(found_BT[0]).tolist()


@pytest.mark.parametrize(("draw", "first_of_target"), [(0.0, 3), (0.49, 3), (0.5, 6), (0.99, 6)])
def test_target_starts_at_a_drawn_sentence_after_the_first(draw: float, first_of_target: int) -> None:
    made = row([0, 0, 1, 1, 1, 2, 2])
    assert places(split(made, np.array([draw]))) == [*range(first_of_target)]


@pytest.mark.parametrize("draw", [0.0, 0.99])
def test_second_of_two_sentences_is_the_target(draw: float) -> None:
    assert places(split(row([0, 0, 0, 1, 1, 1, 1]), np.array([draw]))) == [0, 1, 2, 3]
    assert places(split(row([0, 0, 1]), np.array([draw]))) == [0, 1, 2]


@pytest.mark.parametrize("draw", [0.0, 0.99])
def test_row_of_one_sentence_is_split_in_the_middle(draw: float) -> None:
    made = row([0, 0, 0, 0, 0, 0])  # with [CLS] and [SEP] eight tokens
    assert places(split(made, np.array([draw]))) == [0, 1, 2, 3]


def test_first_segment_of_a_pair_is_the_source() -> None:
    made = row([0, 0, 1, 1, 2, 2], second=4)
    assert places(split(made, np.array([0.9]))) == [0, 1, 2, 3, *range(8, WIDTH)]  # padding is in neither


@pytest.mark.parametrize(
    ("sentences", "expected"),
    [([0, 0, 0, 1, 1, 2, 2], [4, 5]), ([0, 0, 0, 1, 1, 1, 1], [4, 5])],
    ids=["until its second sentence", "until its middle"],
)
def test_beginning_of_an_unrelated_segment_is_source(sentences: list[int], expected: list[int]) -> None:
    """The target is the rest of the second segment; if the segment follows the first, all of it."""
    assert places(split_unrelated(row(sentences, second=4, follows=False), np.array([0.0]))) == expected
    assert places(split_unrelated(row(sentences, second=4), np.array([0.0]))) == []
    assert places(split_unrelated(row(sentences), np.array([0.0]))) == []


def test_last_token_is_the_one_before_padding() -> None:
    assert places(last_tokens(row([0, 0, 1]))) == [4]
