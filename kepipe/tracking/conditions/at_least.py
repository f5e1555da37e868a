"""`at-least`: an absolute threshold for a metric, independent of the current champion."""

from __future__ import annotations

from typing import Literal

from kepipe.tracking.conditions.base import Condition, ConditionResult, GateInput


class AtLeast(Condition):
    """A metric must reach a value."""

    condition: Literal["at-least"] = "at-least"
    metric: str | None = None
    """The metric. None: the gate's metric."""
    value: float
    """The worst accepted value: the highest for a loss, the lowest otherwise."""

    def metrics(self) -> tuple[str, ...]:
        return () if self.metric is None else (self.metric,)

    def check(self, inputs: GateInput) -> ConditionResult:
        metric = self.metric or inputs.metric
        if metric not in inputs.values:
            return ConditionResult(False, f"the model has no {metric}")
        value = inputs.values[metric]
        met = inputs.sign(metric) * value >= inputs.sign(metric) * self.value
        return ConditionResult(
            met, f"{metric} {value:.4g} {'reaches' if met else 'misses'} the required {self.value:.4g}"
        )
