import numpy as np
import pytest
from scipy.stats import kstest

from kepipe.noise.draws import RowDraws, mix, visit_seeds
from kepipe.noise.tokens import select_tokens
from kepipe.noise.units import select_units

EXAMPLES = np.arange(500)


def test_mix_is_splitmix64() -> None:
    # First outputs of the reference implementation (Vigna) from state 1234567.
    golden = np.uint64(0x9E3779B97F4A7C15)
    states = np.uint64(1234567) + np.arange(1, 4, dtype=np.uint64) * golden
    assert mix(states).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_draws_are_uniform_and_independent_across_rows_and_calls() -> None:
    draws = RowDraws(visit_seeds("dynamic", EXAMPLES, 0, seed=3))
    first, second = draws.random((500, 400)), draws.random((500, 400))
    assert kstest(first.ravel(), "uniform").pvalue > 1e-3
    related = np.corrcoef(np.stack([first[0], first[1], second[0], first[:, 0][:400], second[:, 1][:400]]))
    assert np.abs(related - np.eye(5)).max() < 4 / np.sqrt(400)


def test_corruption_of_a_row_does_not_depend_on_its_batch() -> None:
    seeds = visit_seeds("static", EXAMPLES, 0, seed=0)
    special = np.zeros((500, 90), dtype=bool)
    special[:, 70:] = True
    units = np.where(special, -1, np.arange(90) // 3)
    together = RowDraws(seeds)
    masks = select_tokens(special, together), select_units(units, together)
    alone = RowDraws(seeds[17:18])
    narrow = select_tokens(special[17:18, :75], alone), select_units(units[17:18, :75], alone)
    for wide, thin in zip(masks, narrow, strict=True):
        assert (wide[17, :75] == thin[0]).all()


@pytest.mark.parametrize(("schedule", "distinct"), [("static", 1), ("duplicated", 3), ("dynamic", 7)])
def test_schedules_repeat_corruptions_as_configured(schedule: str, distinct: int) -> None:
    visits = [visit_seeds(schedule, EXAMPLES, visit, seed=1, copies=3) for visit in range(7)]
    assert len({tuple(seeds.tolist()) for seeds in visits}) == distinct
    assert len(np.unique(np.stack(visits))) == distinct * len(EXAMPLES)


@pytest.mark.parametrize("schedule", ["static", "duplicated"])
def test_all_schedules_start_with_the_same_corruption(schedule: str) -> None:
    """Runs that differ only in the schedule are the same until the first epoch ends."""
    first = visit_seeds("dynamic", EXAMPLES, 0, seed=1)
    assert (visit_seeds(schedule, EXAMPLES, 0, seed=1) == first).all()


def test_seeds_give_different_corruptions() -> None:
    here, there = (visit_seeds("static", EXAMPLES, 0, seed=seed) for seed in (0, 1))
    assert not np.intersect1d(here, there).size


def test_zero_copies_are_rejected() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        visit_seeds("duplicated", EXAMPLES, 0, seed=0, copies=0)


def mixed(state: int) -> int:
    """SplitMix64's output function, in Python's whole numbers."""
    state = (state ^ (state >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    state = (state ^ (state >> 27)) * 0x94D049BB133111EB % 2**64
    return state ^ (state >> 31)


def test_draw_is_a_function_of_seed_example_visit_call_and_column() -> None:
    """Stable across versions: training with a seed can be repeated."""
    golden, odd = 0x9E3779B97F4A7C15, 0xD1B54A32D192ED03
    seeds = visit_seeds("dynamic", np.array([0, 7]), 3, seed=5)
    base = mixed((5 * odd + 3 * golden) % 2**64)
    expected = [mixed((base + example * golden) % 2**64) for example in (0, 7)]
    assert seeds.tolist() == expected
    draws = RowDraws(seeds)
    draws.random((2, 4))
    second = [
        [(mixed((mixed((seed + 2 * odd) % 2**64) + j * golden) % 2**64) >> 11) / 2**53 for j in (1, 2, 3)]
        for seed in expected
    ]
    assert draws.random((2, 3)).tolist() == second


def test_duplicated_data_has_as_many_corruptions_as_copies() -> None:
    """By default 10, as in BERT's release; of one copy all visits are the same."""
    visits = [visit_seeds("duplicated", EXAMPLES[:1], visit, seed=2).item() for visit in range(20)]
    assert len(set(visits)) == 10
    assert visits[:10] == visits[10:]
    once = {visit_seeds("duplicated", EXAMPLES[:1], visit, seed=2, copies=1).item() for visit in range(3)}
    assert once == {visits[0]}
