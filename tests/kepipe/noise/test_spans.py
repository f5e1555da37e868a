import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kepipe.noise.spans import alternate, collapse_spans, draw_parts, draw_spans, raw_length, span_counts

SENTINELS = np.array([100, 101, 102, 103])
PAD, END = 0, 1


def test_span_counts_and_lengths_equal_the_release() -> None:
    noise, spans = span_counts(np.array([0, 1, 2, 3, 20, 568]))
    assert noise.tolist() == [0, 0, 1, 1, 3, 85]
    assert spans.tolist() == [0, 0, 1, 1, 1, 28]
    assert raw_length(512) == (568, 114)


def test_span_counts_of_any_share_leave_a_token_and_no_empty_span() -> None:
    rows = np.array([0, 1, 2, 3, 10])
    assert [counts.tolist() for counts in span_counts(rows, 1.0, 1.0)] == [[0, 0, 1, 2, 9], [0, 0, 1, 1, 1]]
    assert [counts.tolist() for counts in span_counts(rows, 0.5, 1.0)] == [[0, 0, 1, 2, 5], [0, 0, 1, 1, 5]]
    assert [counts.tolist() for counts in span_counts(rows, 0.3, 0.5)] == [[0, 0, 1, 1, 3], [0, 0, 1, 1, 3]]
    assert raw_length(12, 0.5, 1.0) == (11, 12)


def test_shortest_span_corruption_source_is_three_tokens() -> None:
    """Two tokens stay, a sentinel replaces the third, and the end follows."""
    assert raw_length(4) == (3, 3)
    with pytest.raises(ValueError, match="a source of 3 tokens is too short"):
        raw_length(3)


def test_span_corruption_of_the_papers_example() -> None:
    # "Thank you for inviting me to your party last week", noise on "for inviting" and "last" (figure 2).
    tokens = np.array([[11, 12, 13, 14, 15, 16, 17, 18, 19, 20, END, PAD]])
    noise = np.zeros(tokens.shape, dtype=bool)
    noise[0, [2, 3, 8]] = True
    made = collapse_spans(tokens, noise, tokens == PAD, SENTINELS, pad_id=PAD, end_id=END)
    assert made.source.tolist() == [[11, 12, 100, 15, 16, 17, 18, 101, 20, END]]
    assert made.target.tolist() == [[100, 13, 14, 101, 19, 102, END]]


def test_span_corruption_of_rows_of_unequal_length() -> None:
    tokens = np.array([[11, 12, 13, END], [14, END, PAD, PAD]])
    noise = np.array([[True, False, True, False], [False] * 4])
    made = collapse_spans(tokens, noise, tokens == PAD, SENTINELS, pad_id=PAD, end_id=END)
    assert made.source.tolist() == [[100, 12, 101, END], [14, END, PAD, PAD]]
    assert made.target.tolist() == [[100, 11, 101, 13, 102, END], [100, END, PAD, PAD, PAD, PAD]]
    assert (made.source_lengths.tolist(), made.target_lengths.tolist()) == ([4, 2], [6, 2])


def test_span_corruption_row_ends_with_the_end_token() -> None:
    """As in the release: one of the 512 tokens of a source is the end token."""
    tokens = np.array([[11, 12, END, 13], [14, 15, 16, 17], [PAD] * 4])
    noise = np.array([[False, True, False, False], [False, False, False, True], [False] * 4])
    made = collapse_spans(tokens, noise, tokens == PAD, SENTINELS, pad_id=PAD, end_id=END)
    assert made.source.tolist() == [[11, 100, END, 13, END], [14, 15, 16, 100, END], [END] + [PAD] * 4]
    assert made.source_lengths.tolist() == [5, 5, 1]
    rows = np.full((1, 568), 11)
    noise = draw_spans(rows == PAD, np.random.default_rng(0))
    made = collapse_spans(rows, noise, rows == PAD, np.arange(100, 200), pad_id=PAD, end_id=END)
    assert (made.source.shape, made.target_lengths.tolist()) == ((1, 512), [115])


def test_too_few_sentinels_is_an_error() -> None:
    tokens = np.arange(10, 19)[None]
    noise = np.arange(9)[None] % 2 == 0
    with pytest.raises(ValueError, match="6 sentinel tokens"):
        collapse_spans(tokens, noise, noise & False, SENTINELS, pad_id=PAD, end_id=END)


def test_spans_alternate_with_text_first_and_noise_last() -> None:
    special = np.array([[True, False, False, False, False, False, False, True]])
    noise = alternate(np.array([[2, 1]]), np.array([[1, 2]]), special)
    assert noise.astype(int).tolist() == [[0, 0, 0, 1, 0, 1, 1, 0]]


def test_draw_parts_of_zero_parts() -> None:
    rng = np.random.default_rng(0)
    assert draw_parts(np.array([0, 0]), np.array([0, 0]), rng).shape == (2, 0)
    assert draw_parts(np.array([1, 3]), np.array([1, 1]), rng).tolist() == [[1], [3]]


def test_draw_parts_is_uniform() -> None:
    parts = draw_parts(np.full(60_000, 5), np.full(60_000, 3), np.random.default_rng(0))
    ways, counts = np.unique(parts, axis=0, return_counts=True)
    assert len(ways) == 6  # C(4, 2)
    assert (parts.sum(axis=1) == 5).all()
    assert np.abs(counts - 10_000).max() < 5 * np.sqrt(10_000)


@given(st.lists(st.integers(0, 80), min_size=1, max_size=6), st.integers(0, 2**32 - 1))
def test_source_and_target_together_have_the_text(lengths: list[int], seed: int) -> None:
    rows = [[*range(200, 200 + n), END] for n in lengths]
    width = max(map(len, rows))
    tokens = np.array([row + [PAD] * (width - len(row)) for row in rows])
    special = tokens < 2
    noise = draw_spans(special, np.random.default_rng(seed))
    sentinels = np.arange(100, 130)
    made = collapse_spans(tokens, noise, tokens == PAD, sentinels, pad_id=PAD, end_id=END)
    expected_noise, expected_spans = span_counts(np.array(lengths))
    assert (noise.sum(axis=1) == expected_noise).all()
    assert (made.target_lengths == expected_noise + expected_spans + 2).all()
    for source, target, row in zip(made.source, made.target, rows, strict=True):
        spans: dict[int, list[int]] = {}
        for token in target[target != PAD][:-1].tolist():
            if 100 <= token < 130:
                spans[token] = []
            else:
                spans[list(spans)[-1]].append(token)
        restored = [t for s in source[source != PAD].tolist() for t in spans.get(s, [s])]
        assert restored == row


def test_spans_never_cover_a_separator() -> None:
    special = np.zeros((200, 100), dtype=bool)
    special[:, [40, 99]] = True
    assert not (draw_spans(special, np.random.default_rng(0)) & special).any()


def test_as_many_runs_as_sentinels_but_one() -> None:
    """The last sentinel ends the target; rows that are not there need none."""
    tokens = np.array([[11, 12, 13, 14, 15, 16]])
    noise = np.array([[True, False] * 3])
    made = collapse_spans(tokens, noise, noise & False, SENTINELS, pad_id=PAD, end_id=END)
    assert made.target.tolist() == [[100, 11, 101, 13, 102, 15, 103, END]]
    made = collapse_spans(tokens[:0], noise[:0], noise[:0], SENTINELS[:1], pad_id=PAD, end_id=END)
    assert made.source.shape == made.target.shape == (0, 0)
