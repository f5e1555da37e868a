"""`no-worse`: the new model is not worse than the champion by more than a margin, on old data or on slices.

A non-inferiority test: the 95% interval of the paired difference must be above −`by`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kepipe.tracking.conditions.base import Condition, ConditionResult, Data, GateInput, describe, matching


class NoWorse(Condition):
    """The new model must not be worse than the champion."""

    condition: Literal["no-worse"] = "no-worse"
    metric: str | None = None
    """The metric; `*` matches any part: `entity_cloze/by_type/*/mrr` is every slice. None: the gate's metric."""
    by: float = Field(ge=0)
    """Tolerated loss, in the unit of the metric."""
    data: Data = "new"
    """`old`: the held-out documents of the evaluation with which the champion was registered, to detect forgetting.
    `new`: those of the current evaluation."""
    interval: bool = True
    """Whether the whole interval of the paired difference must be above −`by`. False: only the difference itself."""

    def metrics(self) -> tuple[str, ...]:
        return () if self.metric is None else (self.metric,)

    def check(self, inputs: GateInput) -> ConditionResult:
        pattern = self.metric or inputs.metric
        if inputs.evaluate_pair is None:
            return ConditionResult(True, f"{pattern}: there is no champion to compare with")
        pair, why = inputs.evaluate_pair(self.data)
        where = f"{pattern} on {self.data} data"
        if pair is None:
            return ConditionResult(False, f"{where}: the champion could not be measured ({why})")
        gains = {
            name: inputs.gain(name, pair.differences[name]) for name in matching(pattern, pair.differences)
        }
        judged = {name: each for name, each in gains.items() if not self.interval or each.low is not None}
        few = len(gains) - len(judged)
        skipped = f"; {few} with too few documents were skipped" if few and judged else ""
        if not judged:
            reason = pair.unpaired or (f"{few} with too few documents" if few else "no such metric")
            return ConditionResult(False, f"{where}: no paired difference from the champion ({reason})")
        bounds = {
            name: each.low if self.interval and each.low is not None else each.value
            for name, each in judged.items()
        }
        worst = min(bounds, key=lambda name: bounds[name])
        lost = [name for name, bound in bounds.items() if bound <= -self.by]
        named = f"{worst} on {self.data} data is {describe(judged[worst])}"
        if len(judged) > 1:
            named = f"of {len(judged)} slices {len(lost)} may be worse by {self.by:.4g}; at worst {named}"
        return ConditionResult(not lost, f"{named}; tolerance: {self.by:.4g}{skipped}")
