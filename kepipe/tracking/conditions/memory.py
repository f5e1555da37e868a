"""`memory`: an upper limit on the memory for inference."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from kepipe.tracking.conditions.base import Condition, ConditionResult, GateInput, check_limit


class Memory(Condition):
    """Inference must fit in memory."""

    costs: ClassVar[tuple[str, ...]] = ("cost/memory",)

    condition: Literal["memory"] = "memory"
    most: float = Field(gt=0)
    """Upper limit of the peak memory of a process that serves the model, with its libraries, in megabytes (10⁶
    bytes)."""

    def check(self, inputs: GateInput) -> ConditionResult:
        return check_limit(inputs.values.get(self.costs[0]), self.most, "memory", "MB")
