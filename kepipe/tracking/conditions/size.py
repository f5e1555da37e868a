"""`size`: what a model takes on disk."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from kepipe.tracking.conditions.base import Condition, Facts, Found, limit


class Size(Condition):
    """Be small enough."""

    costs: ClassVar[tuple[str, ...]] = ("cost/size",)

    condition: Literal["size"] = "size"
    most: float = Field(gt=0)
    """Megabytes (10⁶ bytes) that the model's folder may have."""

    def check(self, facts: Facts) -> Found:
        return limit(facts.values.get(self.costs[0]), self.most, "size", "MB")
