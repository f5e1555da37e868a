"""`better`: the new model does better than the champion, surely and by enough.

Both answer the same questions now; the paired difference has a 95% interval, the lower end of which has to lie above
`by`. Of models that are not better one in forty is then taken for it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kepipe.tracking.conditions.base import Condition, Facts, Found, in_words


class BetterCondition(Condition):
    """Do better than the champion."""

    condition: Literal["better"] = "better"
    metric: str | None = None
    """What decides. None: the gate's metric."""
    by: float = Field(0.0, ge=0)
    """By more than this, in the metric's own unit."""
    interval: bool = True
    """Whether the whole interval of the paired difference has to be above `by`. False: the difference itself."""

    def metrics(self) -> tuple[str, ...]:
        return () if self.metric is None else (self.metric,)

    def check(self, facts: Facts) -> Found:
        metric = self.metric or facts.metric
        if metric not in facts.values:
            return Found(False, f"it has no {metric}")
        if facts.rematch is None:
            return Found(
                True, f"{metric} {facts.values[metric]:.4g}, and there is no champion to compare with"
            )
        rematch, why = facts.rematch("new")
        if rematch is None:
            return Found(False, f"{metric}: the champion could not be measured ({why})")
        if not self.interval:
            return self._by_value(metric, facts, rematch.champion.get(metric))
        if metric not in rematch.differences:
            reason = rematch.unpaired or "it has no such figure"
            return Found(False, f"{metric}: no paired difference from the champion ({reason})")
        gained = facts.gain(metric, rematch.differences[metric])
        met = gained.low is not None and gained.low > self.by
        return Found(met, f"{metric} is {in_words(gained)}; asked for: surely more than {self.by:.4g}")

    def _by_value(self, metric: str, facts: Facts, champion: float | None) -> Found:
        offered = facts.values[metric]
        if champion is None:
            return Found(True, f"the champion has no {metric}; this one has {offered:.4g}")
        gained = facts.sign(metric) * (offered - champion)
        return Found(
            gained > self.by,
            f"{metric} {offered:.4g} against the champion's {champion:.4g}; asked for: better by more than "
            f"{self.by:.4g}",
        )
