"""The conditions of a gate one by one, and the whole gate on simulated models with known quality."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from kepipe.arrays import Floats
from kepipe.studies.intervals import Estimate, paired_difference
from kepipe.tracking.conditions.base import Condition, ConditionResult, Data, GateInput, PairedEvaluation
from kepipe.tracking.conditions.table import CONDITIONS, AnyCondition
from kepipe.tracking.gate import Gate, decide

MRR, LOSS = "entity_cloze/mrr", "mlm_loss/tokens"


def condition(**settings: Any) -> Condition:
    made: Condition = TypeAdapter(AnyCondition).validate_python(settings)
    return made


def apart(value: float, low: float | None, high: float | None) -> Estimate:
    return Estimate(value, low, high, 100, 20 if low is not None else 3)


def inputs(
    new: Mapping[str, Estimate] | None = None,
    old: Mapping[str, Estimate] | None = None,
    champion: Mapping[str, float] | None = None,
    **costs: float,
) -> GateInput:
    """Evaluation of a model with an MRR of 0.5 and a loss of 3, with these differences from a champion."""

    def evaluate_pair(data: Data) -> tuple[PairedEvaluation | None, str]:
        differences = new if data == "new" else old
        if differences is None:
            return None, "its evaluation is no longer in the store"
        return PairedEvaluation(champion or {MRR: 0.4, LOSS: 3.1}, differences), ""

    values = {MRR: 0.5, LOSS: 3.0} | {f"cost/{name}": value for name, value in costs.items()}
    return GateInput(MRR, values, evaluate_pair if new is not None or old is not None else None)


@pytest.mark.parametrize(
    ("settings", "difference", "met"),
    [
        ({}, apart(0.1, 0.02, 0.18), True),
        ({}, apart(0.1, -0.01, 0.2), False),
        ({"by": 0.05}, apart(0.1, 0.02, 0.18), False),
        ({"by": 0.05}, apart(0.1, 0.06, 0.14), True),
        ({}, apart(0.1, None, None), False),
        ({"interval": False, "by": 0.05}, apart(0.1, -0.1, 0.3), True),
        ({"interval": False, "by": 0.15}, apart(0.1, 0.09, 0.11), False),
        ({"metric": LOSS}, apart(-0.2, -0.3, -0.1), True),
        ({"metric": LOSS}, apart(0.2, 0.1, 0.3), False),
        ({"metric": LOSS, "by": 0.1}, apart(-0.2, -0.3, -0.1), False),
        ({"metric": "graph_quiz/mrr"}, apart(0.2, 0.1, 0.3), False),
    ],
)
def test_condition_better_needs_a_significant_margin(
    settings: dict[str, Any], difference: Estimate, met: bool
) -> None:
    asked = condition(condition="better", **settings)
    assert asked.check(inputs({settings.get("metric", MRR): difference})).met is met


def test_condition_better_is_met_without_a_champion() -> None:
    for asked in (condition(condition="better", by=0.3), condition(condition="no-worse", by=0.0)):
        assert asked.check(inputs()).met is True
    assert condition(condition="better", metric="none/such").check(inputs()).met is False


def test_condition_better_fails_if_the_champion_cannot_be_re_evaluated() -> None:
    found = condition(condition="better").check(inputs(old={}))
    assert found.met is False
    assert "its evaluation is no longer in the store" in found.why
    assert condition(condition="better").check(inputs(new={})).met is False


@pytest.mark.parametrize(
    ("settings", "difference", "met"),
    [
        ({"by": 0.05}, apart(-0.01, -0.04, 0.02), True),
        ({"by": 0.05}, apart(-0.01, -0.06, 0.04), False),
        ({"by": 0.05}, apart(0.1, 0.02, 0.2), True),
        ({"by": 0.05, "metric": LOSS}, apart(0.01, -0.02, 0.04), True),
        ({"by": 0.05, "metric": LOSS}, apart(0.01, -0.04, 0.06), False),
        ({"by": 0.05}, apart(-0.01, None, None), False),
        ({"by": 0.05, "interval": False}, apart(-0.01, None, None), True),
        ({"by": 0.05, "interval": False}, apart(-0.06, None, None), False),
    ],
)
def test_condition_no_worse_rules_out_more_than_the_margin(
    settings: dict[str, Any], difference: Estimate, met: bool
) -> None:
    asked = condition(condition="no-worse", **settings)
    assert asked.check(inputs({settings.get("metric", MRR): difference})).met is met


def test_condition_no_worse_on_old_data_detects_forgetting() -> None:
    asked = condition(condition="no-worse", metric=LOSS, by=0.1, data="old")
    better_now = {LOSS: apart(-0.5, -0.6, -0.4)}
    forgot = asked.check(inputs(better_now, {LOSS: apart(0.5, 0.4, 0.6)}))
    assert forgot.met is False
    assert "mlm_loss/tokens on old data is worse by 0.5" in forgot.why
    assert asked.check(inputs(better_now, {LOSS: apart(0.02, -0.01, 0.05)})).met is True


def test_condition_with_a_pattern_checks_every_slice() -> None:
    asked = condition(condition="no-worse", metric="entity_cloze/by_type/*/mrr", by=0.05)
    slices = {f"entity_cloze/by_type/{name}/mrr": apart(0.1, 0.0, 0.2) for name in ("city", "river")}
    assert asked.check(inputs({**slices, MRR: apart(-1.0, -1.0, -1.0)})).met is True
    slices["entity_cloze/by_type/moon/mrr"] = apart(-0.1, -0.2, 0.0)
    slices["entity_cloze/by_type/sea/mrr"] = apart(-0.9, None, None)
    found = asked.check(inputs(slices))
    assert found.met is False
    assert "of 3 slices 1 may be worse by 0.05; at worst entity_cloze/by_type/moon/mrr" in found.why
    assert "1 with too few documents were skipped" in found.why
    assert asked.check(inputs({"entity_cloze/by_type/sea/mrr": apart(0.9, None, None)})).met is False


def test_absolute_limits_of_a_gate() -> None:
    assert condition(condition="at-least", value=0.5).check(inputs()).met is True
    assert condition(condition="at-least", value=0.51).check(inputs()).met is False
    assert condition(condition="at-least", value=3.0, metric=LOSS).check(inputs()).met is True
    assert condition(condition="at-least", value=2.9, metric=LOSS).check(inputs()).met is False
    for name, settings, cost in (
        ("latency", {"p95": 20.0}, "latency_p95"),
        ("size", {"most": 20.0}, "size"),
        ("memory", {"most": 20.0}, "memory"),
    ):
        asked = condition(condition=name, **settings)
        assert asked.costs == (f"cost/{cost}",)
        assert asked.check(inputs(**{cost: 20.0})).met is True
        assert asked.check(inputs(**{cost: 20.1})).met is False
        assert asked.check(inputs()) == ConditionResult(False, asked.check(inputs()).why)


def test_gate_setting_better_gives_the_direction_of_its_metric() -> None:
    gate = Gate(metric="x/steps", better="lower", conditions=({"condition": "better"},))  # type: ignore[arg-type]
    difference = {"x/steps": apart(-5.0, -6.0, -4.0)}
    known = GateInput(
        "x/steps", {"x/steps": 10.0}, lambda _: (PairedEvaluation({}, difference), ""), gate.better
    )
    assert decide(gate, known).promote
    assert not decide(
        gate, GateInput("x/steps", {"x/steps": 10.0}, lambda _: (PairedEvaluation({}, difference), ""))
    ).promote


def gate(*conditions: Any) -> Gate:
    return Gate.model_validate({"metric": MRR, "conditions": conditions})


def test_gate_needs_all_conditions_and_gives_reasons() -> None:
    asked = gate({"condition": "better"}, {"condition": "at-least", "value": 0.6}, "approval")
    won = {MRR: apart(0.1, 0.02, 0.18)}
    refused = decide(asked, inputs(won))
    assert (refused.promote, refused.waits) == (False, False)
    assert refused.why == "entity_cloze/mrr 0.5 misses the required 0.6"
    assert [(name, found.met) for name, found in refused.found] == [
        ("better", True), ("at-least", False), ("approval", None),
    ]  # fmt: skip
    waits = decide(gate({"condition": "better"}, "approval"), inputs(won))
    assert (waits.promote, waits.waits) == (False, True)
    assert decide(gate({"condition": "better"}), inputs(won)).promote


def test_invalid_gate_is_explained() -> None:
    with pytest.raises(ValueError, match=r"unknown condition 'beter'.*better"):
        gate("beter")
    with pytest.raises(ValueError, match="expected `condition`"):
        gate({"metric": MRR})
    with pytest.raises(ValueError, match="by"):
        gate("no-worse")


def test_every_condition_has_a_description_in_the_schema() -> None:
    for name, row in CONDITIONS.items():
        assert row.model_fields["condition"].default == name
        assert row.__doc__


def simulated(rng: np.random.Generator, gained: float, documents: int = 30) -> GateInput:
    """A corpus on which a model is better by `gained`; cases of a document share their difficulty for each."""
    clusters_N = np.repeat(np.arange(documents), rng.integers(1, 12, documents))
    champion_N = 0.5 + rng.normal(0, 0.2, documents)[clusters_N] + rng.normal(0, 0.3, len(clusters_N))
    shift_N = rng.normal(0, 0.1, documents)[clusters_N]
    offered_N = champion_N + gained + shift_N + rng.normal(0, 0.2, len(clusters_N))
    means: list[Floats] = [offered_N, champion_N]
    difference = paired_difference(*means, clusters_N, np.random.default_rng(0), resamples=400)
    return GateInput(
        MRR,
        {MRR: float(offered_N.mean())},
        lambda _: (PairedEvaluation({MRR: float(champion_N.mean())}, {MRR: difference}), ""),
    )


@pytest.mark.parametrize(
    ("asked", "gained", "low", "high"),
    [
        ({"condition": "better"}, 0.0, 0.0, 0.05),  # no better: hardly ever promoted
        ({"condition": "better"}, 0.15, 0.95, 1.0),  # clearly better: found
        ({"condition": "better"}, 0.05, 0.3, 0.9),  # a little better: found in part
        ({"condition": "better", "by": 0.1}, 0.1, 0.0, 0.05),  # better, but by no more than what is asked
        ({"condition": "no-worse", "by": 0.1}, -0.1, 0.0, 0.05),  # as bad as what is just not let pass
        ({"condition": "no-worse", "by": 0.1}, 0.0, 0.8, 1.0),
        ({"condition": "better", "interval": False}, 0.0, 0.4, 0.6),  # the difference alone: a coin
    ],
)
def test_gate_rarely_promotes_falsely_and_finds_real_gains(
    asked: dict[str, Any], gained: float, low: float, high: float
) -> None:
    """The share of 400 simulated corpora in which a model of known quality is promoted."""
    rng = np.random.default_rng(7)
    promoted = [decide(gate(asked), simulated(rng, gained)).promote for _ in range(400)]
    assert low <= np.mean(promoted) <= high, np.mean(promoted)
