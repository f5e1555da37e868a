"""The gate: which model becomes champion."""

from __future__ import annotations

import json
import math

import pytest

from kepipe.tracking.conditions.base import ConditionResult, GateInput
from kepipe.tracking.gate import Gate, check, decide, gate_of


@pytest.mark.parametrize(
    ("gate", "offered", "champion", "holds", "promoted"),
    [
        (Gate(metric="x/mrr"), 0.5, 0.4, True, True),
        (Gate(metric="x/mrr"), 0.4, 0.4, True, False),
        (Gate(metric="x/mrr"), 0.3, 0.4, True, False),
        (Gate(metric="x/mrr", better="lower"), 0.3, 0.4, True, True),
        (Gate(metric="x/mrr", better="lower"), 0.5, 0.4, True, False),
        (Gate(metric="x/mrr"), 0.1, None, False, True),
        (Gate(metric="x/mrr", minimum=0.2), 0.1, None, False, False),
        (Gate(metric="x/mrr", minimum=0.2), 0.2, None, False, True),
        (Gate(metric="x/mrr", better="lower", minimum=3.0), 3.5, 4.0, True, False),
        (Gate(metric="x/mrr"), None, 0.4, True, False),
        (Gate(metric="x/mrr"), math.nan, None, False, False),
        (Gate(metric="x/mrr"), 0.1, math.nan, True, True),
        (Gate(metric="x/mrr"), 0.1, None, True, True),
    ],
)
def test_gate_verdicts(
    gate: Gate, offered: float | None, champion: float | None, holds: bool, promoted: bool
) -> None:
    verdict = check(gate, offered, champion, holds)
    assert verdict.promote is promoted
    assert "x/mrr" in verdict.why


def test_gate_infers_the_direction_from_the_metric_and_needs_a_metric() -> None:
    assert check(Gate(metric="mlm_loss/tokens"), 2.0, 2.5, has_champion=True).promote
    with pytest.raises(ValueError, match="names no metric"):
        check(Gate(), 0.5, None, has_champion=False)


def test_gate_round_trips_through_plain_data() -> None:
    """Passed from the stage that offers a model to the process that decides."""
    plain = Gate(metric="x/mrr", minimum=0.2)
    assert plain.plain() == {"metric": "x/mrr", "better": None, "minimum": 0.2}
    conditions = [{"condition": "better", "by": 0.01}, {"condition": "size", "most": 9.0}]
    several = Gate.model_validate({"metric": "x/mrr", "conditions": conditions})
    assert [condition["condition"] for condition in several.plain()["conditions"]] == ["better", "size"]
    for gate in (plain, several):
        assert Gate.model_validate_json(json.dumps(gate.plain())) == gate


SIZE, SMALLER, APPROVAL = (
    {"condition": "size", "most": 9.0},
    {"condition": "size", "most": 5.0},
    {"condition": "approval"},
)


WAITING = "every other condition is met; waits for approval (`kepipe models approve`)"
MET = "every condition is met: size {0} MB is within 9 MB"


@pytest.mark.parametrize(
    ("conditions", "size", "promoted", "waits", "why"),
    [
        ([SIZE], 8.0, True, False, MET.format(8)),
        ([SIZE, SMALLER], 4.0, True, False, f"{MET.format(4)}; size 4 MB is within 5 MB"),
        ([SIZE], 10.0, False, False, "size 10 MB is above 9 MB"),
        ([SIZE, SMALLER], 8.0, False, False, "size 8 MB is above 5 MB"),
        ([SIZE, SMALLER], 10.0, False, False, "size 10 MB is above 9 MB; size 10 MB is above 5 MB"),
        ([SIZE, APPROVAL], 8.0, False, True, WAITING),
        ([APPROVAL, SIZE], 10.0, False, False, "size 10 MB is above 9 MB"),
    ],
)
def test_every_condition_must_be_met_and_approval_is_awaited_last(
    conditions: list[dict[str, object]], size: float, promoted: bool, waits: bool, why: str
) -> None:
    gate = Gate.model_validate({"conditions": conditions})
    verdict = decide(gate, GateInput("x/mrr", {"cost/size": size}, None))
    assert (verdict.promote, verdict.waits, verdict.why) == (promoted, waits, why)
    assert [name for name, _ in verdict.found] == [each["condition"] for each in conditions]
    assert gate.costs() == ("cost/size",)


def test_gate_without_conditions_waits_for_nobody() -> None:
    verdict = check(Gate(metric="x/mrr"), 0.5, 0.4, has_champion=True)
    assert not verdict.waits
    assert verdict.found == (
        ("metric", ConditionResult(True, "x/mrr 0.5 is better than the champion's 0.4")),
    )
    worse = check(Gate(metric="x/mrr"), 0.4, 0.5, has_champion=True)
    assert worse.why == "x/mrr 0.4 is not better than the champion's 0.5"


def test_gate_of_an_offer_ignores_its_other_values() -> None:
    assert gate_of({"metric": "x/mrr", "minimum": 0.2, "evaluation": "/scores"}) == Gate(
        metric="x/mrr", minimum=0.2
    )
