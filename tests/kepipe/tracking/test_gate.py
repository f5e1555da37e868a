"""Who becomes champion."""

from __future__ import annotations

import math

import pytest

from kepipe.tracking.gate import Gate, check


@pytest.mark.parametrize(
    ("gate", "offered", "champion", "holds", "promoted"),
    [
        (Gate(), 0.5, 0.4, True, True),
        (Gate(), 0.4, 0.4, True, False),
        (Gate(), 0.3, 0.4, True, False),
        (Gate(better="lower"), 0.3, 0.4, True, True),
        (Gate(better="lower"), 0.5, 0.4, True, False),
        (Gate(), 0.1, None, False, True),
        (Gate(minimum=0.2), 0.1, None, False, False),
        (Gate(minimum=0.2), 0.2, None, False, True),
        (Gate(better="lower", minimum=3.0), 3.5, 4.0, True, False),
        (Gate(), None, 0.4, True, False),
        (Gate(), math.nan, None, False, False),
        (Gate(), 0.1, math.nan, True, True),
        (Gate(), 0.1, None, True, True),
    ],
)
def test_verdicts(
    gate: Gate, offered: float | None, champion: float | None, holds: bool, promoted: bool
) -> None:
    verdict = check(gate, offered, champion, holds)
    assert verdict.promote is promoted
    assert gate.metric in verdict.why
