"""What an objective makes of clean rows: batches of its own, or of the stage's."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kepipe.data.batch import TokenRows
from kepipe.objectives import table
from kepipe.objectives.base import Objective
from tests.support.rows import TOKENIZER, rows


@pytest.fixture(scope="module")
def objective() -> Objective:
    return table.build(table.read("causal-lm"), TOKENIZER)


def test_a_batch_belongs_to_the_stream_of_its_rows(objective: Objective) -> None:
    clean = rows(3, 16)
    alone = objective.batch(0, lambda _: clean, np.random.default_rng(0), 0.0)
    assert (alone.continues, alone.stream, alone.from_right) == (None, 0, None)
    streamed = replace(clean, continues=np.array([True, False, True]), stream=2)
    batch = objective.batch(0, lambda _: streamed, np.random.default_rng(0), 0.0)
    assert batch.continues is not None
    assert (batch.continues.tolist(), batch.stream, batch.from_right) == ([True, False, True], 2, None)
    both = replace(streamed, from_right=np.array([False, True, True]))
    read = objective.batch(0, lambda _: both, np.random.default_rng(0), 0.0)
    assert read.from_right is not None
    assert read.from_right.tolist() == [False, True, True]


def test_held_out_batches_are_counted_from_the_first_and_corrupted_as_at_the_end(
    objective: Objective,
) -> None:
    asked: list[int] = []
    progress: list[float] = []

    def wanted(number: int) -> TokenRows:
        asked.append(number)
        return rows(2, 16)

    def collate(clean: TokenRows, rng: np.random.Generator, done: float):  # type: ignore[no-untyped-def]
        progress.append(done)
        return objective.collate(clean, rng, done)

    told = replace(objective, collate=collate)
    assert len(told.held_out(wanted, 3, np.random.default_rng)) == 3
    assert (asked, progress) == ([0, 1, 2], [1.0] * 3)
