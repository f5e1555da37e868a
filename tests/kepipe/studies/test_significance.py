"""Significance tests keep their level without an effect, and their power equals the stated one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from kepipe.studies.significance import (
    detectable,
    holm,
    holm_adjusted,
    paired_tests,
    power,
)

STUDIES = 400
SPREAD = 3 * np.sqrt(0.05 * 0.95 / STUDIES)
"""Three standard errors of a rate of 5%."""


def p_values(seeds: int, effect: float = 0.0, studies: int = STUDIES) -> np.ndarray:
    """p of t, permutation and Wilcoxon of simulated studies: [studies, 3]."""
    rng = np.random.default_rng(11)
    tests = (paired_tests(rng.normal(effect, 1.0, seeds)) for _ in range(studies))
    return np.array([[test.t, test.permutation, test.wilcoxon] for test in tests], np.float64)


def test_significance_tests_keep_their_level() -> None:
    rates = (p_values(8) <= 0.05).mean(0)
    assert rates[0] == pytest.approx(0.05, abs=SPREAD)
    assert (rates[1:] <= 0.05 + SPREAD).all()
    assert (rates[1:] > 0.01).all()


def test_permutation_and_wilcoxon_need_enough_seeds() -> None:
    values = p_values(5, effect=5.0, studies=20)
    assert (values[:, 0] < 0.05).mean() > 0.9
    assert values[:, 1:].min() == pytest.approx(2 * 0.5**5)


def test_power_equals_simulation() -> None:
    values_NS = np.random.default_rng(4).normal(1.5, 1.0, (4000, 5))
    shown = (stats.ttest_1samp(values_NS, 0.0, axis=1).pvalue <= 0.05).mean()
    assert power(1.5, 5) == pytest.approx(shown, abs=0.025)
    assert power(detectable(5), 5) == pytest.approx(0.8)
    assert power(0.0, 5) == pytest.approx(0.05, abs=1e-3)
    assert power(1.5, 5) == pytest.approx(stats.nct.sf(2.776, 4, 1.5 * 5**0.5), abs=1e-3)
    assert power(9.0, 1) == 0.0
    assert detectable(1) == float("inf")


def test_p_values_equal_scipy_and_enumeration() -> None:
    values = np.array([0.3, 0.1, 0.4, -0.1])
    tests = paired_tests(values)
    signs = np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(4, -1).T
    reached = abs((signs * values).mean(1)) >= abs(values.mean()) - 1e-12
    assert tests.permutation == pytest.approx(reached.mean())
    assert tests.t == pytest.approx(stats.ttest_rel(values, np.zeros(4)).pvalue)
    assert tests.wilcoxon == pytest.approx(stats.wilcoxon(values, method="exact").pvalue, abs=0.2)


def test_untestable_differences_have_no_p_value() -> None:
    assert vars(paired_tests([0.2])) == {"t": None, "permutation": None, "wilcoxon": None}
    assert paired_tests([0.0, 0.0]).permutation is None
    assert paired_tests([0.1, 0.1, 0.1]).t is None
    with pytest.raises(ValueError, match="a difference for each seed"):
        paired_tests([])


def test_holm_by_hand() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}, 0.05) == ("a", "d")
    assert holm({"a": 0.02, "b": 0.02}, 0.05) == ("a", "b")
    assert holm({}, 0.05) == ()
    adjusted = holm_adjusted({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert adjusted == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})


def test_holm_keeps_the_family_wise_level() -> None:
    rng = np.random.default_rng(5)
    families = rng.uniform(size=(2000, 6))
    false = [bool(holm({str(n): p for n, p in enumerate(family)}, 0.05)) for family in families.tolist()]
    assert np.mean(false) == pytest.approx(0.05, abs=0.015)
