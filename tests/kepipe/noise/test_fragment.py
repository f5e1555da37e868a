import numpy as np
from scipy.stats import chisquare

from kepipe.noise.fragment import cut_fragment, draw_fragment, mark

TOKENS = np.array([[2, 11, 12, 13, 14, 3, 0], [2, 21, 22, 3, 0, 0, 0]])


def test_the_decoder_sees_the_original_previous_tokens_at_their_positions() -> None:
    start, length = np.array([2, 1]), np.array([2, 1])
    assert mark(start, length, 7).astype(int).tolist() == [[0, 0, 1, 1, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0]]
    made = cut_fragment(TOKENS, start, length, pad_id=0, begin_id=9)
    assert made.tokens.tolist() == [[11, 12], [2, 0]]
    assert made.labels.tolist() == [[12, 13], [21, 0]]
    assert made.positions.tolist() == [[2, 3], [1, 0]]
    assert made.present.tolist() == [[True, True], [True, False]]


def test_rows_without_text_have_no_fragment() -> None:
    nothing = np.zeros(2, dtype=np.int64)
    made = cut_fragment(TOKENS, nothing, nothing, pad_id=0, begin_id=9)
    assert made.tokens.shape == made.labels.shape == made.positions.shape == made.present.shape == (2, 0)


def test_fragment_at_the_first_column_starts_with_the_given_token() -> None:
    made = cut_fragment(np.array([[5, 6, 7, 8]]), np.array([0]), np.array([2]), pad_id=0, begin_id=9)
    assert made.tokens.tolist() == [[9, 5]]


def test_fragment_start_rule_is_20_20_60() -> None:
    special = np.ones((100_000, 14), dtype=bool)
    special[:, 1:13] = False  # 12 text tokens: a fragment of 6 may start at 7 places
    start, length = draw_fragment(special, np.random.default_rng(0))
    assert (length == 6).all()
    expected = np.full(7, 0.6 / 7)
    expected[[0, 6]] += 0.2
    assert chisquare(np.bincount(start - 1, minlength=7), expected * 100_000).pvalue > 1e-3


def test_fragment_of_any_share_is_within_the_text() -> None:
    special = np.ones((3, 9), dtype=bool)
    special[0, 1:8], special[1, 3] = False, False
    for share in (0.01, 0.5, 1.0):
        start, length = draw_fragment(special, np.random.default_rng(1), share)
        assert not (mark(start, length, 9) & special).any()
        assert length.tolist() == [max(round(share * 7), 1), 1, 0]
