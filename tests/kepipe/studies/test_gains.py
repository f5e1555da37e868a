"""Gains are corrected for the arms under test and the tasks: simulated studies without an effect keep the level."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from kepipe.studies.design import Design, Measure
from kepipe.studies.findings import Finding, find
from kepipe.studies.gains import gains
from kepipe.studies.significance import LEVEL, paired_tests
from kepipe.studies.verdict import answer, headline
from tests.support.studies import HIGH, LOW, MIDDLE, OFF, ON, WRONG, design_of, study

STUDIES = 400
TASKS = ("hotels", "books", "records")
ARMS = ("plain", "long", "short", "wide", "deep")


def several(
    values: Mapping[str, Mapping[str, tuple[float, ...]]], controls: tuple[str, ...] = ()
) -> tuple[Design, list[Finding]]:
    """A study of tasks, the first arm is the reference; `values`: task → arm → by seed."""
    measures = [Measure(stage=task, metric="f1", better="higher") for task in values]
    first = next(iter(values.values()))
    design = design_of(first, *measures, controls=controls, tasks=tuple(values))
    return design, [find(design, each, values[each.stage]) for each in measures]


def simulated(seeds: int, effect: float = 0.0) -> tuple[float, float]:
    """How many of the simulated studies announce a gain, and how many would without the correction. `effect`: on every
    arm but the reference, in standard deviations by seed."""
    rng = np.random.default_rng(7)
    announced, alone = 0, 0
    for _ in range(STUDIES):
        values = {
            task: {arm: tuple(rng.normal(0.5 + 0.1 * effect * (arm != "plain"), 0.1, seeds)) for arm in ARMS}
            for task in TASKS
        }
        design, deciding = several(values)
        announced += headline(design, deciding).startswith("A gain")
        alone += any(gains(design, each, deciding) for each in deciding)
    return announced / STUDIES, alone / STUDIES


@pytest.mark.parametrize("seeds", [3, 5])
def test_without_an_effect_studies_of_several_tasks_seldom_announce_a_gain(seeds: int) -> None:
    announced, alone = simulated(seeds)
    assert announced <= LEVEL
    assert alone > 2 * LEVEL  # what the correction prevents


def test_large_effects_are_announced() -> None:
    announced, _ = simulated(5, effect=5.0)
    assert announced > 0.9


def test_a_gain_alone_that_is_none_after_correction_is_told_with_its_figures() -> None:
    near = (0.655, 0.645, 0.66)  # p 0.019 against the reference
    values = {"books": {"plain": MIDDLE, "near": near, "far": LOW}}
    design, (finding,) = several(values)
    (gain,) = gains(design, finding, [finding])
    p = paired_tests(finding.between("near", "plain").by_seed).t
    assert p is not None
    assert (gain.arm, gain.hypotheses) == ("near", 2)
    assert gain.p == pytest.approx(2 * p)
    assert headline(design, [finding]).startswith("A gain is shown: near") == (2 * p <= LEVEL)
    design, deciding = several(
        values | {task: {**values["books"], "near": LOW} for task in TASKS[:1] + TASKS[2:]}
    )
    assert answer(design, deciding[0], deciding) == (
        "No gain shown on books/f1: near has 0.653 against 0.592 with plain, but not after correction for 6 "
        f"comparisons (Holm's p {6 * p:.2g})."
    )
    assert headline(design, deciding) == (
        "No gain shown in any of 3 tasks: books, hotels and records. In books, near has 0.653 against 0.592 with "
        f"plain, but not after correction for 6 comparisons (Holm's p {6 * p:.2g})."
    )


def test_one_arm_in_one_task_is_not_corrected_for_its_rivals() -> None:
    design, finding = study(graph_on=HIGH, graph_off=LOW, graph_shuffled=MIDDLE)
    (gain,) = gains(design, finding, [finding])
    tests = [paired_tests(finding.between(ON, rival).by_seed).t for rival in (OFF, WRONG)]
    assert gain.hypotheses == 1
    assert gain.p == pytest.approx(max(p for p in tests if p is not None))
    assert gain.shown
