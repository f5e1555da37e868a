"""Permutation LM: which tokens are predicted, and in which order."""

from __future__ import annotations

import numpy as np
import pytest

from kepipe.data.batch import TokenRows
from kepipe.models.networks.xlnet_masks import ORDER
from kepipe.objectives.permutation import PermutationLM, build, draw_order, draw_targets
from tests.support.tasks import tokenizer

WORDS = np.repeat(np.arange(100), 2)[None].repeat(40, 0)
"""Forty rows of a hundred words of two tokens."""


def rows(lengths: tuple[int, ...] = (9, 4)) -> TokenRows:
    there = np.arange(max(lengths)) < np.array(lengths)[:, None]
    last = np.arange(max(lengths)) == np.array(lengths)[:, None] - 1
    tokens = np.where(there, 200 + np.arange(max(lengths)), 0)
    words = np.where(there & ~last, np.arange(max(lengths)), -1)
    zeros = np.zeros_like(tokens)
    return TokenRows(tokens, zeros, there.astype(np.int64), ~there | last, {"word": words}, zeros - 1, zeros)


@pytest.mark.parametrize("partial", [2, 6])
def test_targets_are_whole_words_in_spans_at_the_configured_rate(partial: int) -> None:
    told_BT = draw_targets(WORDS, np.random.default_rng(0), partial, 5)
    told_BW = told_BT.reshape(40, 100, 2)
    assert (told_BW.all(2) == told_BW.any(2)).all()
    assert told_BT.mean() == pytest.approx(1 / partial, abs=0.02)
    edges = np.diff(np.pad(told_BW[..., 0].astype(int), ((0, 0), (1, 1))))
    lengths = np.nonzero(edges == -1)[1] - np.nonzero(edges == 1)[1]
    assert (lengths <= 5).mean() > 0.9 or partial == 2  # spans may touch
    if partial == 6:  # p(n) ∝ 1/n, and the last one may be cut
        shares = np.bincount(lengths, minlength=6)[1:6] / len(lengths)
        np.testing.assert_allclose(shares, 1 / np.arange(1, 6) / (137 / 60), atol=0.06)


def test_span_is_anywhere_in_its_own_window_and_never_beyond() -> None:
    words_BT = np.arange(100)[None].repeat(40, 0)
    told_BWK = draw_targets(words_BT, np.random.default_rng(0), 5, 1).reshape(40, 20, 5)
    assert (told_BWK.sum(2) == 1).all()
    assert told_BWK.any((0, 1)).all()


def test_every_row_with_words_has_a_target() -> None:
    words_BT = np.array([[0, -1, -1], [0, 1, -1], [-1, -1, -1]])
    for seed in range(20):
        told_BT = draw_targets(words_BT, np.random.default_rng(seed), 6, 5)
        assert told_BT.any(1).tolist() == [True, True, False]
        assert not told_BT[words_BT < 0].any()
    assert draw_targets(words_BT, np.random.default_rng(0), 1, 1).sum() == 3


def test_context_precedes_targets_in_random_order() -> None:
    told_BT = np.array([[True, False, True, False, True, False]])
    special_BT = np.array([[False, False, False, False, False, True]])
    seen = set()
    for seed in range(50):
        order_BT = draw_order(told_BT, special_BT, np.random.default_rng(seed))
        assert (order_BT[0] < 0).tolist() == [False, True, False, True, False, False]
        numbers = order_BT[order_BT >= 0]
        assert len(set(numbers.tolist())) == 4
        seen.add(tuple(np.argsort(numbers).tolist()))
    assert len(seen) > 15


def test_permutation_labels_are_the_target_tokens() -> None:
    batch = build(PermutationLM(), tokenizer()).collate(rows(), np.random.default_rng(0), 0.0)
    assert batch.labels is not None
    assert batch.label_positions is not None
    assert batch.labels.tolist() == batch.tokens.flatten()[batch.label_positions].tolist()
    assert bool((batch.extra[ORDER].flatten()[batch.label_positions] >= 0).all())
    assert batch.segments is None
    assert 0 < len(batch.labels) < 7


def test_left_to_right_rows_predict_every_token() -> None:
    section = PermutationLM(left_to_right=1.0)
    batch = build(section, tokenizer()).collate(rows(), np.random.default_rng(0), 0.0)
    assert batch.label_positions is not None
    assert batch.label_positions.tolist() == [*range(1, 9), *range(10, 13)]
    assert batch.extra[ORDER].tolist() == [[*range(9)]] * 2


def test_from_right_enables_both_directions() -> None:
    assert PermutationLM(from_right=True).both_directions()
    assert not PermutationLM().both_directions()
