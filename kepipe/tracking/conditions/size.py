"""`size`: an upper limit on the model's size on disk."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from kepipe.tracking.conditions.base import Condition, ConditionResult, GateInput, check_limit


class Size(Condition):
    """The model must be small enough."""

    costs: ClassVar[tuple[str, ...]] = ("cost/size",)

    condition: Literal["size"] = "size"
    most: float = Field(gt=0)
    """Upper limit of the size of the model folder, in megabytes (10⁶ bytes)."""

    def check(self, inputs: GateInput) -> ConditionResult:
        return check_limit(inputs.values.get(self.costs[0]), self.most, "size", "MB")
