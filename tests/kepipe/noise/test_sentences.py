from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from kepipe.noise.infilling import draw_infilling, infill, poisson
from kepipe.noise.sentences import (
    Denoising,
    Text,
    corrupt,
    delete,
    draw_keys,
    draw_offsets,
    frame,
    hide_span,
    permute,
    rotate,
    take_text,
)
from tests.support.rows import rows

MASK = 4


def text(rows: list[list[tuple[int, int, int]]]) -> Text:
    """Rows of (token, word, sentence)."""
    width = max(map(len, rows))
    columns = np.array([row + [(-1, -1, -1)] * (width - len(row)) for row in rows]).reshape(
        len(rows), width, 3
    )
    return Text(columns[..., 0], columns[..., 1], columns[..., 2], np.array([len(row) for row in rows]))


TWO = text([
    [(10, 0, 0), (11, 0, 0), (12, 1, 0), (13, 2, 1), (14, 3, 1), (15, 3, 1), (16, 4, 2)],
    [(20, 0, 0), (21, 1, 1)],
])  # fmt: skip


def shown(tokens: np.ndarray, lengths: np.ndarray) -> list[list[int]]:
    return [row[:length].tolist() for row, length in zip(tokens, lengths, strict=True)]


def test_permute_moves_whole_sentences() -> None:
    made = permute(TWO, np.array([[0.5, 0.9, 0.1], [0.2, 0.1, 0.3]]))
    assert shown(made.tokens, made.lengths) == [[16, 10, 11, 12, 13, 14, 15], [21, 20]]
    assert shown(made.words, made.lengths) == [[0, 1, 1, 2, 3, 4, 4], [0, 1]]
    assert shown(made.sentences, made.lengths) == [[0, 1, 1, 1, 2, 2, 2], [0, 1]]
    assert (made.words[1, 2:] == -1).all()
    assert (made.sentences[1, 2:] == -1).all()


def test_delete_closes_the_gaps() -> None:
    made = delete(TWO, np.array([[0, 0, 1, 0, 1, 1, 0], [1, 1, 0, 0, 0, 0, 0]], dtype=bool))
    assert shown(made.tokens, made.lengths) == [[10, 11, 13, 16], []]
    assert shown(made.words, made.lengths) == [[0, 0, 1, 2], []]


def test_rotate_starts_at_the_offset() -> None:
    assert shown(rotate(TWO.tokens, TWO.lengths, np.array([5, 1])), TWO.lengths) == [
        [15, 16, 10, 11, 12, 13, 14],
        [21, 20],
    ]


def test_span_becomes_one_mask_and_an_empty_span_inserts_one() -> None:
    start, length = np.array([[0, 1, 5], [2, -1, -1]]), np.array([[0, 3, 0], [0, 0, 0]])
    tokens, lengths = infill(TWO.tokens, TWO.words, start, length, MASK)
    assert shown(tokens, lengths) == [[MASK, 10, 11, MASK, 16, MASK], [20, 21, MASK]]


def test_a_text_without_words_has_no_spans() -> None:
    start, length = draw_infilling(np.array([0, 0]), 0.3, 3.0, np.random.default_rng(0))
    assert start.shape == length.shape == (2, 0)


def test_span_over_the_whole_text_leaves_one_mask() -> None:
    start, length = draw_infilling(np.array([5, 2]), 1.0, 3.0, np.random.default_rng(0))
    tokens, lengths = infill(TWO.tokens, TWO.words, start, length, MASK)
    assert shown(tokens, lengths) == [[MASK], [MASK]]


@given(
    st.lists(st.integers(0, 200), min_size=1, max_size=6),
    st.floats(0.01, 1.0),
    st.floats(0.2, 8.0),
    st.integers(0, 2**32 - 1),
)
def test_infilled_spans_cover_their_share_and_never_touch(
    words: list[int], share: float, mean: float, seed: int
) -> None:
    start, length = draw_infilling(np.array(words), share, mean, np.random.default_rng(seed))
    for row, count in enumerate(words):
        present = start[row] >= 0
        begins, ends = start[row][present], (start[row] + length[row])[present]
        assert length[row].sum() == np.ceil(share * count)
        assert (start[row][~present] == -1).all()
        assert (begins[1:] > ends[:-1]).all()
        assert not len(ends) or ends[-1] <= count


def test_span_lengths_are_poisson() -> None:
    _, length = draw_infilling(np.full(400, 2000), 0.3, 3.0, np.random.default_rng(0))
    start, _ = draw_infilling(np.full(400, 2000), 0.3, 3.0, np.random.default_rng(0))
    lengths = length[start >= 0]
    expected = np.diff(poisson(3.0), prepend=0.0)[:8]
    counts = np.bincount(lengths, minlength=8)[:8]
    # the last span of a row is cut: 1 of about 200
    assert np.abs(counts / len(lengths) - expected).max() < 0.01


def test_infilling_is_uniform_over_positions() -> None:
    words = np.tile(np.arange(60), (20_000, 1))
    start, length = draw_infilling(np.full(20_000, 60), 0.3, 3.0, np.random.default_rng(2))
    tokens, lengths = infill(words + 100, words, start, length, MASK)
    kept = np.bincount(tokens[(tokens >= 100)] - 100, minlength=60) / 20_000
    assert np.abs(kept[5:-5] - 0.7).max() < 0.02
    assert kept.mean() == pytest.approx(0.7)
    assert lengths.max() > lengths.min()


def test_rotation_offsets_are_uniform() -> None:
    offsets = draw_offsets(np.full(50_000, 7), 1.0, np.random.default_rng(0))
    assert chisquare(np.bincount(offsets, minlength=7)).pvalue > 1e-3


def test_permutation_is_uniform_and_can_spare_rows() -> None:
    many = text([[(10, 0, 0), (11, 1, 1), (12, 2, 2)]] * 30_000)
    orders = permute(many, draw_keys(many, 1.0, np.random.default_rng(0))).tokens
    _, counts = np.unique(orders, axis=0, return_counts=True)
    assert len(counts) == 6
    assert chisquare(counts).pvalue > 1e-3
    spared = permute(many, draw_keys(many, 0.0, np.random.default_rng(0))).tokens
    assert (spared == many.tokens).all()


@settings(max_examples=50)
@given(st.sets(st.sampled_from(["permute", "mask", "delete", "infill", "rotate"])), st.integers(0, 2**32 - 1))
def test_combined_corruptions_keep_the_order_of_the_text(chosen: set[str], seed: int) -> None:
    strength = dict.fromkeys(("permute", "mask", "delete", "infill", "rotate"), 0.0) | dict.fromkeys(
        chosen, 0.4
    )
    rows = text([[(100 + t, t // 2, t // 7) for t in range(n)] for n in (41, 0, 1, 20)])
    tokens, lengths = corrupt(rows, Denoising(**strength), MASK, np.random.default_rng(seed))
    for row, length, original in zip(tokens, lengths, rows.lengths, strict=True):
        kept = [t for t in row[:length].tolist() if t != MASK]
        assert len(set(kept)) == len(kept)
        assert set(kept) <= set(range(100, 100 + original))
        if not chosen & {"mask", "delete", "infill"}:
            assert sorted(kept) == list(range(100, 100 + original))
        if not chosen & {"permute", "rotate"}:
            assert kept == sorted(kept)
    assert (tokens[np.arange(tokens.shape[1]) >= lengths[:, None]] == -1).all()


def test_frame_puts_special_tokens_around_the_text() -> None:
    framed = frame(TWO.tokens, TWO.lengths, begin=2, end=3, pad_id=0)
    assert framed.tolist() == [[2, 10, 11, 12, 13, 14, 15, 16, 3], [2, 20, 21, 3, 0, 0, 0, 0, 0]]
    assert frame(TWO.tokens[1:], TWO.lengths[1:], begin=None, end=3, pad_id=0)[0, :3].tolist() == [20, 21, 3]


@pytest.mark.parametrize("wrong", [{"infill": 1.5}, {"rotate": -0.1}, {"mean_span": 0}])
def test_invalid_strengths_are_rejected(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Denoising(**wrong)
    assert Denoising(mean_span=0.5).mean_span == 0.5


def test_text_is_taken_without_special_tokens() -> None:
    batch = rows(2, 8, tokens=np.array([[2, 30, 31, 3, 0, 0, 0, 0], [2, 40, 41, 42, 43, 44, 45, 3]]),
                 special=np.array([[1, 0, 0, 1, 1, 1, 1, 1], [1, 0, 0, 0, 0, 0, 0, 1]], bool))  # fmt: skip
    taken = take_text(batch)
    assert taken.tokens.tolist() == [[30, 31, -1, -1, -1, -1], [40, 41, 42, 43, 44, 45]]
    assert taken.words.tolist() == [[0, 1, -1, -1, -1, -1], batch.units["word"][1, 1:7].tolist()]
    assert taken.sentences.tolist() == [[0, 0, -1, -1, -1, -1], batch.sentences[1, 1:7].tolist()]
    assert taken.lengths.tolist() == [2, 6]


def test_a_span_becomes_one_mask() -> None:
    spans = np.array([0, 1, 1, 0, 0, 0, 0, 1, 0], dtype=bool)  # over the tokens of both rows
    tokens, lengths = hide_span(TWO, spans, MASK)
    assert shown(tokens, lengths) == [[10, MASK, 13, 14, 15, 16], [MASK, 21]]
    assert tokens[1, 2:].tolist() == [-1] * 4


@pytest.mark.parametrize("field", ["permute", "mask", "delete", "infill", "rotate"])
def test_corruption_of_share_0_draws_nothing(field: str) -> None:
    """So that later draws are the same with and without it."""
    none = Denoising(permute=0, mask=0, delete=0, infill=0, rotate=0)
    drawn = np.random.default_rng(0)
    tokens, lengths = corrupt(TWO, none, MASK, drawn)
    assert shown(tokens, lengths) == shown(TWO.tokens, TWO.lengths)
    assert drawn.random() == np.random.default_rng(0).random()
    some = np.random.default_rng(0)
    corrupt(TWO, replace(none, **{field: 1.0}), MASK, some)
    assert some.random() != np.random.default_rng(0).random()


def test_defaults_are_those_of_the_published_model() -> None:
    """Lewis et al. 2020, section 2.2: all sentences are permuted, 30% of the words are in spans of 3 on average."""
    assert Denoising() == Denoising(permute=1, mask=0, delete=0, infill=0.3, mean_span=3, rotate=0)


def test_rows_of_one_word_or_none_are_infilled() -> None:
    rows = text([[(10, 0, 0), (11, 1, 0)], [(12, 0, 0)], []])
    only_infill = Denoising(permute=0, infill=1.0)
    for seed in range(4):
        tokens, lengths = corrupt(rows, only_infill, MASK, np.random.default_rng(seed))
        assert shown(tokens, lengths) == [[MASK], [MASK], []]
    at_the_end = np.array([[2], [1], [0]])
    tokens, lengths = infill(rows.tokens, rows.words, at_the_end, at_the_end * 0, MASK)
    assert shown(tokens, lengths) == [[10, 11, MASK], [12, MASK], [MASK]]


@pytest.mark.parametrize("mean", [0.2, 1.0, 3.0, 400.0])
def test_poisson_probabilities_add_up_to_1(mean: float) -> None:
    below = poisson(mean)
    assert below[-1] == pytest.approx(1.0, abs=1e-12)
    assert below[0] == pytest.approx(np.exp(-mean))


def test_enough_spans_are_drawn_to_cover_the_share() -> None:
    """Otherwise the last span of a row would have to cover what is left of it: hundreds of words."""
    for mean in (0.5, 1.0):
        _, length = draw_infilling(np.full(60, 10_000), 0.3, mean, np.random.default_rng(0))
        assert length.max() < 15
