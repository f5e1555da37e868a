"""Permutation p-values: exact on a small case, valid in the long run, small if something changed."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from kepipe.drift.base import NotMeasurable, compare_means, labels
from kepipe.drift.permutation import assignments, mean_difference, p_value


def test_the_statistic_and_the_p_value_by_hand() -> None:
    """Six values, three of them new: 2 of the 20 choices of three have means as far apart as 1, 2, 3 and 7, 8, 9."""
    values_N = np.array([1.0, 2.0, 3.0, 7.0, 8.0, 9.0])
    every = np.zeros((20, 6), np.bool_)
    for row, chosen in enumerate(combinations(range(6), 3)):
        every[row, list(chosen)] = True
    distances_P = mean_difference(values_N)(every)
    assert distances_P.max() == 6.0
    assert (distances_P >= 6.0).sum() == 2
    truth = labels(3, 3)
    assert p_value(mean_difference(values_N)(np.concatenate([truth[None], every]))) == pytest.approx(
        (1 + 2) / 21
    )


def test_assignments_begin_with_the_true_one_and_keep_sizes() -> None:
    new_N = labels(4, 3)
    drawn = assignments(new_N, np.random.default_rng(0), 50)
    assert drawn.shape == (51, 7)
    assert (drawn[0] == new_N).all()
    assert (drawn.sum(1) == 3).all()


def test_p_values_are_valid_without_a_change() -> None:
    """300 pairs of windows of one skewed source."""
    rng = np.random.default_rng(1)
    p_values = [
        compare_means(rng.lognormal(size=20), rng.lognormal(size=12), np.random.default_rng(number)).p
        for number in range(300)
    ]
    for level in (0.05, 0.2, 0.5):
        share = np.mean(np.array(p_values) <= level)
        assert abs(share - level) < 4 * np.sqrt(level * (1 - level) / 300)


def test_a_change_is_found_and_documents_without_a_value_are_ignored() -> None:
    rng = np.random.default_rng(2)
    before, new = rng.normal(0, 1, 40), rng.normal(1.5, 1, 20)
    found = compare_means(np.append(before, np.nan), np.append(new, np.nan), rng)
    assert found.reference == pytest.approx(before.mean())
    assert found.new == pytest.approx(new.mean())
    assert found.statistic == pytest.approx(abs(new.mean() - before.mean()))
    assert found.p == 0.001
    with pytest.raises(NotMeasurable, match="40 reference and 4 new documents"):
        compare_means(before, np.append(new[:4], np.nan), rng)
