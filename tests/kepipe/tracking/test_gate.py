"""The gate: which model becomes champion."""

from __future__ import annotations

import json
import math

import pytest

from kepipe.tracking.gate import Gate, check


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
