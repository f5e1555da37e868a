"""Whether a new model takes the champion's place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from kepipe.config import Section


class Gate(Section):
    """What a new model must show to become champion."""

    metric: str = "entity_cloze.mrr"
    """Metric of the evaluation that decides."""
    better: Literal["higher", "lower"] = "higher"
    """Whether higher or lower values are better."""
    minimum: float | None = None
    """Worst value that a champion may have, even where there is no other; none: any value serves."""


@dataclass(frozen=True)
class Verdict:
    """Whether the new model is promoted, and a sentence that says why."""

    promote: bool
    why: str


def check(gate: Gate, offered: float | None, champion: float | None, holds: bool) -> Verdict:
    """Compare the offered model's value with the champion's; `holds` says whether there is a champion.

    A model without the metric never becomes champion; a champion without it gives way to one that has it.
    Equal values change nothing.
    """
    if offered is None or math.isnan(offered):
        return Verdict(False, f"it has no {gate.metric}")
    sign = 1 if gate.better == "higher" else -1
    if gate.minimum is not None and sign * offered < sign * gate.minimum:
        return Verdict(False, f"{gate.metric} {offered:.4g} misses the required {gate.minimum:.4g}")
    if not holds:
        return Verdict(True, f"first champion, {gate.metric} {offered:.4g}")
    if champion is None or math.isnan(champion):
        return Verdict(True, f"the champion has no {gate.metric}; this one has {offered:.4g}")
    better = sign * offered > sign * champion
    relation = "better" if better else "not better"
    return Verdict(better, f"{gate.metric} {offered:.4g} is {relation} than the champion's {champion:.4g}")
