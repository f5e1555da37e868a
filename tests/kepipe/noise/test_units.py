import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kepipe.noise.tokens import budget
from kepipe.noise.units import count_units, fill, move_units, select_units, select_units_by_coin, spread


def numbered(sizes: list[int]) -> list[int]:
    return [unit for unit, size in enumerate(sizes) for _ in range(size)]


def padded(rows: list[list[int]]) -> np.ndarray:
    """Rows of unit sizes as unit numbers between a special token and padding."""
    units = [[-1, *numbered(sizes)] for sizes in rows]
    width = max(map(len, units)) + 2
    return np.array([row + [-1] * (width - len(row)) for row in units])


def test_unit_beyond_the_budget_is_skipped_and_later_ones_still_fit() -> None:
    sizes = np.array([[3, 2, 1, 4]])
    chosen = fill(sizes, np.array([[0, 1, 3, 2]]), np.array([4]))
    assert chosen.tolist() == [[True, False, True, False]]


def test_units_are_spread_over_their_tokens() -> None:
    units = np.array([[-1, 0, 0, 1, 2, 2, -1]])
    assert count_units(units).tolist() == [[2, 1, 2]]
    assert spread(np.array([[True, False, True]]), units).tolist() == [
        [False, True, True, False, True, True, False]
    ]


def test_units_are_counted_up_to_the_row_with_most() -> None:
    assert count_units(np.array([[-1, 0, 0, -1], [-1, -1, -1, -1]])).tolist() == [[2], [0]]
    assert count_units(np.array([[-1, -1], [-1, -1]])).shape == (2, 0)


@given(
    st.lists(st.lists(st.integers(1, 5), min_size=0, max_size=30), min_size=1, max_size=6),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_units_are_masked_whole_within_the_budget(rows: list[list[int]], seed: int, coin: bool) -> None:
    units = padded(rows)
    draws = np.random.default_rng(seed)
    selected = select_units_by_coin(units, draws) if coin else select_units(units, draws)
    assert not selected[units < 0].any()
    for row, sizes in enumerate(rows):
        for unit in range(len(sizes)):
            assert len(set(selected[row][units[row] == unit].tolist())) == 1
    if not coin:
        assert (selected.sum(axis=1) <= budget(units < 0, 0.15)).all()


def test_a_unit_of_any_size_may_be_the_first() -> None:
    """Of 30 tokens 15% are 4: where a unit of 4 comes first it is alone, otherwise no unit of 4 has room."""
    units = padded([[1, 4] * 6] * 4000)
    selected = select_units(units, np.random.default_rng(0))[:, 1:31].reshape(4000, 6, 5)
    long = selected[:, :, 1].any(axis=1)
    assert not (long & selected[:, :, 0].any(axis=1)).any()
    assert abs(long.mean() - 0.5) < 4 * np.sqrt(0.25 / 4000)


def test_fill_equals_the_greedy_rule_of_bert() -> None:
    rng = np.random.default_rng(5)
    sizes = rng.integers(0, 5, (40, 30))
    order = np.argsort(np.where(sizes == 0, 2.0, rng.random((40, 30))), axis=1)
    budgets = rng.integers(0, 20, 40)
    expected = np.zeros(sizes.shape, dtype=bool)
    for row in range(40):  # create_pretraining_data.py, create_masked_lm_predictions
        taken = 0
        for unit in order[row]:
            if taken >= budgets[row]:
                break
            if sizes[row, unit] == 0 or taken + sizes[row, unit] > budgets[row]:
                continue
            taken += sizes[row, unit]
            expected[row, unit] = True
    assert (fill(sizes, order, budgets) == expected).all()


def test_upstream_masks_units_at_a_rate_independent_of_size() -> None:
    units = padded([[1, 6] * 20] * 4000)
    selected = select_units_by_coin(units, np.random.default_rng(0))
    text = selected[:, 1 : 1 + 140].reshape(4000, 20, 7)
    short, long = text[:, :, 0].mean(), text[:, :, 1].mean()
    error = 4 * np.sqrt(0.15 * 0.85 / 80_000)
    assert abs(short - 0.15) < error
    assert abs(long - 0.15) < error


def test_first_unit_counts_as_text() -> None:
    units = np.repeat([[0, 1]], 10, axis=1)
    for seed in range(8):
        assert select_units(units, np.random.default_rng(seed), 0.5).sum() == 10


@given(
    st.lists(st.lists(st.lists(st.integers(1, 4), max_size=8), max_size=4), min_size=1, max_size=5),
    st.lists(st.integers(1, 3), min_size=1, max_size=5),
    st.integers(0, 2**32 - 1),
)
def test_moved_units_have_as_many_words_in_the_same_sentence(
    rows: list[list[list[int]]], tokens: list[int], seed: int
) -> None:
    """`rows`: rows → sentences → words of each unit; words have `tokens` in turn, and a special token ends each
    sentence."""
    width = 4 * 8 * 4 * 3 + 4  # sentences × units × words × tokens, and the special tokens
    units, words, sentences = (np.full((len(rows), width), -1) for _ in range(3))
    for row, its in enumerate(rows):
        place = word = unit = 0
        for sentence, sizes in enumerate(its):
            for size in sizes:
                for _ in range(size):
                    stop = place + tokens[word % len(tokens)]
                    units[row, place:stop], words[row, place:stop] = unit, word
                    sentences[row, place:stop] = sentence
                    place, word = stop, word + 1
                unit += 1
            place += 1
    moved = move_units(units, words, sentences, np.random.default_rng(seed))
    assert ((moved < 0) == (units < 0)).all()
    for row, its in enumerate(rows):
        for sentence, sizes in enumerate(its):
            here = sentences[row] == sentence
            assert set(moved[row][here]) == set(units[row][here])
            found = [len(set(words[row][moved[row] == unit])) for unit in sorted(set(moved[row][here]))]
            assert sorted(found) == sorted(sizes)
        for word in set(words[row]) - {-1}:
            assert len(set(moved[row][words[row] == word])) == 1, "a word stays whole"
        assert (np.diff(moved[row][moved[row] >= 0]) >= 0).all()


def test_unit_moves_to_every_place_equally_often() -> None:
    units, words = np.array([[0, 1, 1, 2, 3]] * 4000), np.array([[0, 1, 2, 3, 4]] * 4000)
    moved = move_units(units, words, np.zeros_like(units), np.random.default_rng(0))
    pair = (np.diff(moved, axis=1) == 0).mean(axis=0)
    assert np.abs(pair - 0.25).max() < 0.03


def test_word_that_a_unit_cuts_counts_as_two() -> None:
    units, words = np.array([[0, 0, 1]]), np.array([[0, 1, 1]])
    found = {
        tuple(move_units(units, words, np.zeros_like(units), np.random.default_rng(seed))[0])
        for seed in range(20)
    }
    assert found == {(0, 0, 1), (0, 1, 1)}
