"""`better`: the new model is significantly better than the champion.

Both are evaluated on the same questions; the lower end of the 95% interval of the paired difference must be above `by`.
The one-sided error rate is thus 2.5%.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kepipe.tracking.conditions.base import Condition, ConditionResult, GateInput, describe


class BetterCondition(Condition):
    """The new model must be better than the champion."""

    condition: Literal["better"] = "better"
    metric: str | None = None
    """The metric. None: the gate's metric."""
    by: float = Field(0.0, ge=0)
    """Minimum gain, in the unit of the metric."""
    interval: bool = True
    """Whether the whole interval of the paired difference must be above `by`. False: only the difference itself."""

    def metrics(self) -> tuple[str, ...]:
        return () if self.metric is None else (self.metric,)

    def check(self, inputs: GateInput) -> ConditionResult:
        metric = self.metric or inputs.metric
        if metric not in inputs.values:
            return ConditionResult(False, f"the model has no {metric}")
        if inputs.evaluate_pair is None:
            return ConditionResult(
                True, f"{metric} {inputs.values[metric]:.4g}, and there is no champion to compare with"
            )
        pair, why = inputs.evaluate_pair("new")
        if pair is None:
            return ConditionResult(False, f"{metric}: the champion could not be measured ({why})")
        if not self.interval:
            return self._by_value(metric, inputs, pair.champion.get(metric))
        if metric not in pair.differences:
            reason = pair.unpaired or "no such metric"
            return ConditionResult(False, f"{metric}: no paired difference from the champion ({reason})")
        gained = inputs.gain(metric, pair.differences[metric])
        met = gained.low is not None and gained.low > self.by
        return ConditionResult(
            met, f"{metric} is {describe(gained)}; required: the whole interval above {self.by:.4g}"
        )

    def _by_value(self, metric: str, inputs: GateInput, champion: float | None) -> ConditionResult:
        offered = inputs.values[metric]
        if champion is None:
            return ConditionResult(True, f"the champion has no {metric}; this one has {offered:.4g}")
        gained = inputs.sign(metric) * (offered - champion)
        return ConditionResult(
            gained > self.by,
            f"{metric} {offered:.4g} against the champion's {champion:.4g}; required: better by more than "
            f"{self.by:.4g}",
        )
