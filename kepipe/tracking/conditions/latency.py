"""`latency`: how long one answer takes."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from kepipe.tracking.conditions.base import Condition, Facts, Found, limit


class Latency(Condition):
    """Answer in time."""

    costs: ClassVar[tuple[str, ...]] = ("cost/latency_p95",)

    condition: Literal["latency"] = "latency"
    p95: float = Field(gt=0)
    """Milliseconds that 95% of answers to one short text may take, in a process of its own on the run's machine."""

    def check(self, facts: Facts) -> Found:
        return limit(facts.values.get(self.costs[0]), self.p95, "latency (95% of answers)", "ms")
