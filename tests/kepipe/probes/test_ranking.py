"""Ranks by hand, and chance against random orders."""

import numpy as np
import pytest

from kepipe.probes.ranking import chance, per_case, realistic_ranks


def test_ranks_by_hand():
    scores = np.array([[3, 2, 1], [1, 2, 3], [2, 2, 2], [5, -np.inf, 6]])
    assert realistic_ranks(scores, [0, 0, 1, 0]).tolist() == [1, 3, 2, 2]


def test_per_case_values():
    values = per_case(np.array([1.0, 2.0, 1.5, 11.0]))
    assert values["mrr"].tolist() == pytest.approx([1, 0.5, 2 / 3, 1 / 11])
    assert values["hits@1"].tolist() == [1, 0, 0, 0]
    assert values["hits@10"].tolist() == [1, 1, 1, 0]
    assert per_case(np.array([10.0, 10.5]))["hits@10"].tolist() == [1, 0]


def test_chance_equals_random_scores():
    rng = np.random.default_rng(0)
    for size in (3, 40):
        drawn = per_case(realistic_ranks(rng.random((20_000, size)), np.zeros(20_000, int)))
        for metric, expected in chance([size]).items():
            assert drawn[metric].mean() == pytest.approx(expected[0], abs=0.01)
