"""An arm's advantage on the harder half of a test against that on the easier half."""

from __future__ import annotations

import pytest

from kepipe.studies.design import Measure
from kepipe.studies.findings import Finding, find
from kepipe.studies.halves import by_halves, pairs_of_halves
from tests.support.studies import Values, design_of

ARMS = {"words": (0.50, 0.52, 0.51), "context": (0.60, 0.62, 0.63), "frozen": (0.50, 0.50, 0.50)}


def finding(name: str, values: Values, better: str = "higher") -> Finding:
    stage, _, metric = name.partition("/")
    measure = Measure.model_validate({"stage": stage, "metric": metric, "better": better})
    return find(design_of(values, measure, reference="words"), measure, values)


def lowered(arm: str, by: float) -> Values:
    return {**ARMS, arm: tuple(value - by for value in ARMS[arm])}


def test_growth_is_a_difference_of_paired_differences() -> None:
    easier = finding("cite/test/simple/accuracy", ARMS)
    harder = finding("cite/test/complex/accuracy", lowered("words", 0.2))
    words, context, _ = by_halves([(easier, harder)], "words")
    assert words.growth is None
    assert words.harder.value == pytest.approx(0.31)
    assert context.growth is not None
    assert context.growth.by_seed == pytest.approx((0.2, 0.2, 0.2))
    assert context.growth.mean.value == pytest.approx(0.2)


def test_less_of_a_loss_is_an_advantage() -> None:
    easier = finding("cite/test/simple/loss", ARMS, "lower")
    harder = finding("cite/test/complex/loss", lowered("context", 0.3), "lower")
    _, context, _ = by_halves([(easier, harder)], "words")
    assert context.growth is not None
    assert context.growth.mean.value == pytest.approx(0.3)


def test_p_values_are_corrected_over_all_arms_and_tasks() -> None:
    changed = {**ARMS, "context": (0.80, 0.84, 0.82), "frozen": (0.51, 0.48, 0.50)}
    pairs = [
        (finding(f"{task}/test/simple/accuracy", ARMS), finding(f"{task}/test/complex/accuracy", changed))
        for task in ("cite", "names")
    ]
    alone, both = (
        [row.growth for row in by_halves(some, "words") if row.growth] for some in (pairs[:1], pairs)
    )
    assert (len(alone), len(both)) == (2, 4)
    assert alone[0].holm is not None
    assert both[0].holm == pytest.approx(2 * alone[0].holm)


def test_arm_without_one_of_the_halves_is_left_out() -> None:
    easier = finding("cite/test/simple/accuracy", ARMS)
    harder = finding("cite/test/complex/accuracy", {arm: ARMS[arm] for arm in ("words", "context")})
    assert [row.arm for row in by_halves([(easier, harder)], "words")] == ["words", "context"]


def test_only_measures_with_both_halves_are_paired() -> None:
    names = (
        "cite/test/accuracy",
        "cite/test/simple/accuracy",
        "names/test/simple/f1",
        "names/test/complex/f1",
    )
    pairs = pairs_of_halves([finding(name, ARMS) for name in names], "simple", "complex")
    assert [(a.measure.name, b.measure.name) for a, b in pairs] == [names[2:]]
