"""`latency`: an upper limit on the time per prediction."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from kepipe.tracking.conditions.base import Condition, ConditionResult, GateInput, check_limit


class Latency(Condition):
    """Predictions must be fast enough."""

    costs: ClassVar[tuple[str, ...]] = ("cost/latency_p95",)

    condition: Literal["latency"] = "latency"
    p95: float = Field(gt=0)
    """Upper limit of the 95th percentile, in milliseconds, for one short text; measured in a separate process on the
    run's machine."""

    def check(self, inputs: GateInput) -> ConditionResult:
        return check_limit(inputs.values.get(self.costs[0]), self.p95, "latency (95th percentile)", "ms")
