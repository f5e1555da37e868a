"""`memory`: what a process that answers takes."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from kepipe.tracking.conditions.base import Condition, Facts, Found, limit


class Memory(Condition):
    """Take little memory."""

    costs: ClassVar[tuple[str, ...]] = ("cost/memory",)

    condition: Literal["memory"] = "memory"
    most: float = Field(gt=0)
    """Megabytes (10⁶ bytes) that a process which answers with the model may hold at its peak, libraries included."""

    def check(self, facts: Facts) -> Found:
        return limit(facts.values.get(self.costs[0]), self.most, "memory", "MB")
