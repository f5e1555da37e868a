"""`no-worse`: what the champion can do, the new model can too, on old data and on slices, but for a margin.

A test of non-inferiority: the paired difference's 95% interval has to lie above −`by`.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kepipe.tracking.conditions.base import Condition, Data, Facts, Found, in_words, matching


class NoWorse(Condition):
    """Do no worse than the champion."""

    condition: Literal["no-worse"] = "no-worse"
    metric: str | None = None
    """On what; `*` stands for any part: `entity_cloze/by_type/*/mrr` is each slice. None: the gate's metric."""
    by: float = Field(ge=0)
    """The loss that is let pass, in the metric's own unit."""
    data: Data = "new"
    """`old`: the held-out documents of the evaluation with which the champion was registered, so that a model that
    forgot is told. `new`: those of today."""
    interval: bool = True
    """Whether the whole interval of the paired difference has to be above −`by`. False: the difference itself."""

    def metrics(self) -> tuple[str, ...]:
        return () if self.metric is None else (self.metric,)

    def check(self, facts: Facts) -> Found:
        pattern = self.metric or facts.metric
        if facts.rematch is None:
            return Found(True, f"{pattern}: there is no champion to compare with")
        rematch, why = facts.rematch(self.data)
        where = f"{pattern} on {self.data} data"
        if rematch is None:
            return Found(False, f"{where}: the champion could not be measured ({why})")
        gains = {
            name: facts.gain(name, rematch.differences[name])
            for name in matching(pattern, rematch.differences)
        }
        told = {name: each for name, each in gains.items() if not self.interval or each.low is not None}
        few = len(gains) - len(told)
        left_out = f"; {few} with too few documents were not judged" if few and told else ""
        if not told:
            reason = rematch.unpaired or (f"{few} with too few documents" if few else "no such figure")
            return Found(False, f"{where}: no paired difference from the champion ({reason})")
        bounds = {
            name: each.low if self.interval and each.low is not None else each.value
            for name, each in told.items()
        }
        worst = min(bounds, key=lambda name: bounds[name])
        lost = [name for name, bound in bounds.items() if bound <= -self.by]
        named = f"{worst} on {self.data} data is {in_words(told[worst])}"
        if len(told) > 1:
            named = f"of {len(told)} slices {len(lost)} may be worse by {self.by:.4g}; at worst {named}"
        return Found(not lost, f"{named}; let pass: {self.by:.4g}{left_out}")
