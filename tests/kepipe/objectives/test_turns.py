"""The schedules of a mixture: how often and when each objective is drawn."""

from __future__ import annotations

import numpy as np
import pytest

from kepipe.objectives import table
from kepipe.objectives.turns import SCHEDULES, Turns, continual, joint, sequential
from tests.support.rows import TOKENIZER, rows

EQUAL = (1.0,) * 4


def shares(turns: Turns, steps: int = 20_000) -> np.ndarray:  # type: ignore[type-arg]
    """The expected share of each objective in each stage, by steps."""
    progress = np.arange(steps) / steps
    stage = np.searchsorted(turns.begins, progress, side="right") - 1
    weights = np.array([turns.weights_at(share) for share in progress])
    weights /= weights.sum(1, keepdims=True)
    return np.stack([weights[stage == s].sum(0) / steps for s in range(len(turns.begins))])


def test_continual_schedule_is_the_published_one() -> None:
    """Table 7 of Sun et al. 2020: 50,000 updates of each of 4 tasks."""
    published = [[20, 0, 0, 0], [10, 30, 0, 0], [10, 10, 40, 0], [10, 10, 10, 50]]
    turns = continual(EQUAL, ())
    assert shares(turns) * 200 == pytest.approx(np.array(published), abs=0.05)
    assert turns.begins == pytest.approx([0, 20 / 200, 60 / 200, 120 / 200])


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule_gives_objectives_their_weighted_share(name: str) -> None:
    weights = (3.0, 1.0, 2.0)
    turns = SCHEDULES[name](weights, (0.0,) * 3)
    assert shares(turns).sum(0) == pytest.approx([1 / 2, 1 / 6, 1 / 3], abs=1e-3)


def test_sequential_schedule_trains_one_after_the_other() -> None:
    turns = sequential((1.0, 3.0), ())
    assert turns.begins == pytest.approx([0.0, 0.25])
    assert [turns.weights_at(share).tolist() for share in (0.2, 0.3, 1.0)] == [
        [0.25, 0],
        [0, 0.75],
        [0, 0.75],
    ]


def test_own_progress_of_an_objective_runs_from_0_to_1() -> None:
    one_by_one = sequential(EQUAL, ())
    assert [one_by_one.own_progress(1, share) for share in (0.25, 0.375, 0.5, 1.0)] == [0, 0.5, 1, 1]
    late = joint((1.0, 1.0), (0.0, 0.6))
    assert [late.own_progress(1, share) for share in (0.6, 0.8, 1.0)] == pytest.approx([0, 0.5, 1])
    assert continual(EQUAL, ()).own_progress(2, 0.65) == pytest.approx(0.5)


def test_mixture_draws_by_its_schedule() -> None:
    value = {
        "name": "mixture",
        "schedule": "continual",
        "of": [{"objective": "mlm"}, {"objective": "span-masking"}],
    }
    learned = table.build(table.read(value), TOKENIZER)
    ids = [
        [learned.collate(rows(2, 16), np.random.default_rng(seed), share).objective_id for seed in range(200)]
        for share in (0.1, 0.9)
    ]
    assert set(ids[0]) == {0}
    assert np.mean(ids[1]) == pytest.approx(3 / 4, abs=0.13)


def test_joins_is_rejected_with_a_sequential_schedule() -> None:
    value = {
        "name": "mixture",
        "schedule": "sequential",
        "of": [{"objective": "mlm"}, {"objective": "mlm", "joins": 0.5}],
    }
    with pytest.raises(ValueError, match="remove `joins`"):
        table.read(value)
