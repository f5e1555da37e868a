"""`at-least`: a value that a champion has to have, whatever the champion before had."""

from __future__ import annotations

from typing import Literal

from kepipe.tracking.conditions.base import Condition, Facts, Found


class AtLeast(Condition):
    """Reach a value."""

    condition: Literal["at-least"] = "at-least"
    metric: str | None = None
    """Of what. None: the gate's metric."""
    value: float
    """The worst value that is enough: of a loss the highest, else the lowest."""

    def metrics(self) -> tuple[str, ...]:
        return () if self.metric is None else (self.metric,)

    def check(self, facts: Facts) -> Found:
        metric = self.metric or facts.metric
        if metric not in facts.values:
            return Found(False, f"it has no {metric}")
        value = facts.values[metric]
        met = facts.sign(metric) * value >= facts.sign(metric) * self.value
        return Found(
            met, f"{metric} {value:.4g} {'reaches' if met else 'misses'} the required {self.value:.4g}"
        )
