import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kepipe.data.batch_sampler import BatchSampler, batch_numbers

LENGTHS = np.random.default_rng(0).integers(4, 129, 3000)


@given(st.lists(st.integers(1, 90), min_size=1, max_size=80), st.integers(1, 300), st.integers(0, 1000))
def test_an_epoch_has_every_example_once_in_batches_within_the_budget(
    lengths: list[int], tokens: int, seed: int
) -> None:
    order = BatchSampler(np.array(lengths), tokens, seed)
    for epoch in (0, 3):
        batches = [order.rows(epoch * order.per_epoch + n) for n in range(order.per_epoch)]
        assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
        for rows in batches:
            assert len(rows) == 1 or len(rows) * max(lengths[row] for row in rows) <= tokens


def test_batch_n_does_not_depend_on_earlier_batches() -> None:
    order = BatchSampler(LENGTHS, 4096, 7)
    ahead = [order.rows(n).tolist() for n in (order.per_epoch + 2, 0, 5, order.per_epoch + 2)]
    fresh = [
        BatchSampler(LENGTHS, 4096, 7).rows(n).tolist()
        for n in (order.per_epoch + 2, 0, 5, order.per_epoch + 2)
    ]
    assert ahead == fresh


def test_padding_stays_under_five_percent() -> None:
    order = BatchSampler(LENGTHS, 4096, 0)
    padded = sum(len(rows) * LENGTHS[rows].max() for rows in map(order.rows, range(order.per_epoch)))
    assert LENGTHS.sum() / padded > 0.95


def test_each_epoch_and_seed_has_another_order() -> None:
    order, other = BatchSampler(LENGTHS, 4096, 0), BatchSampler(LENGTHS, 4096, 1)
    first = [order.rows(n) for n in range(order.per_epoch)]
    second = [order.rows(order.per_epoch + n) for n in range(order.per_epoch)]
    sets = {frozenset(rows.tolist()) for rows in first}
    assert len(sets & {frozenset(rows.tolist()) for rows in second}) < len(sets) / 10
    assert order.rows(0).tolist() != other.rows(0).tolist()
    # long and short batches are mixed
    assert np.corrcoef([LENGTHS[rows].max() for rows in first], np.arange(len(first)))[0, 1] < 0.5
    assert order.epoch(2 * order.per_epoch) == 2


def test_the_batches_of_an_update_do_not_depend_on_the_number_of_processes() -> None:
    alone = list(batch_numbers(3, 4))
    shared = [n for rank in range(2) for n in batch_numbers(3, 4, rank, 2)]
    assert sorted(shared) == alone == [12, 13, 14, 15]
    with pytest.raises(ValueError, match="evenly"):
        batch_numbers(0, 3, 0, 2)


def test_an_empty_list_of_examples_is_an_error() -> None:
    with pytest.raises(ValueError, match="no examples"):
        BatchSampler(np.empty(0, dtype=np.int64), 100, 0)


def test_rows_of_one_token_are_not_padded_to_two() -> None:
    order = BatchSampler(np.array([1, 2] * 8), 4, 0)
    assert order.per_epoch == 8 // 2 + 8 // 4
