"""`approval`: a person approves the model with `kepipe models approve`."""

from __future__ import annotations

from typing import Literal

from kepipe.tracking.conditions.base import Condition, ConditionResult, GateInput


class Approval(Condition):
    """Be approved by a person, once all other conditions are met."""

    condition: Literal["approval"] = "approval"

    def check(self, _facts: GateInput) -> ConditionResult:
        return ConditionResult(None, "waits for approval (`kepipe models approve`)")
