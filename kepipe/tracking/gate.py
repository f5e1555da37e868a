"""The promotion gate: whether a new model becomes champion."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kepipe.config import Section
from kepipe.studies.design import Better, better_by_name
from kepipe.tracking.conditions.base import ConditionResult, GateInput
from kepipe.tracking.conditions.table import AnyCondition


class Gate(Section):
    """Settings of the promotion gate."""

    metric: str | None = None
    """The deciding metric, `probe/metric` or `split/metric` in the scores. None: for an evaluation the main metric of
    its first probe (`entity_cloze/mrr`), for a fine-tuned model its task's main metric (`test/accuracy`)."""
    better: Better | None = None
    """Whether higher or lower values are better. None: inferred from the name (lower for a loss)."""
    minimum: float | None = None
    """Worst value that a champion may have, even the first one. None: any value."""
    conditions: tuple[AnyCondition, ...] = ()
    """Conditions that must all be met: `better`, `no-worse`, `at-least`, `latency`, `size`, `memory`, `approval`, each
    with its settings. Empty: `metric` must be better than the champion's and reach `minimum`."""

    def plain(self) -> dict[str, Any]:
        """The settings as plain JSON data."""
        values = self.model_dump(mode="json")
        return values if self.conditions else {k: v for k, v in values.items() if k != "conditions"}

    def costs(self) -> tuple[str, ...]:
        """Costs that must be measured before a model is offered."""
        return tuple(dict.fromkeys(cost for each in self.conditions for cost in each.costs))


@dataclass(frozen=True)
class Verdict:
    """Whether the new model is promoted, and why. `waits`: every condition is met except approval. `found`: (condition,
    result) pairs."""

    promote: bool
    why: str
    waits: bool = False
    found: tuple[tuple[str, ConditionResult], ...] = ()


def decide(gate: Gate, inputs: GateInput) -> Verdict:
    """Check every condition of a gate with conditions."""
    found = tuple((str(each.condition), each.check(inputs)) for each in gate.conditions)  # type: ignore[attr-defined]
    refused = [result.why for _, result in found if result.met is False]
    waits = not refused and any(result.met is None for _, result in found)
    if refused:
        why = "; ".join(refused)
    elif waits:
        why = "every other condition is met; waits for approval (`kepipe models approve`)"
    else:
        why = f"every condition is met: {'; '.join(result.why for _, result in found)}"
    return Verdict(not refused and not waits, why, waits, found)


def check(gate: Gate, offered: float | None, champion: float | None, has_champion: bool) -> Verdict:
    """Compare the offered model's value with the champion's; `has_champion`: whether there is a champion.

    A model without the metric is never promoted; a champion without the metric is replaced by a model that has it.
    Equal values do not promote. Raises ValueError for a gate without a metric.
    """
    verdict = _check(gate, offered, champion, has_champion)
    return replace(verdict, found=(("metric", ConditionResult(verdict.promote, verdict.why)),))


def _check(gate: Gate, offered: float | None, champion: float | None, has_champion: bool) -> Verdict:
    if gate.metric is None:
        raise ValueError("the gate names no metric")
    if offered is None or math.isnan(offered):
        return Verdict(False, f"the model has no {gate.metric}")
    sign = 1 if (gate.better or better_by_name(gate.metric)) == "higher" else -1
    if gate.minimum is not None and sign * offered < sign * gate.minimum:
        return Verdict(False, f"{gate.metric} {offered:.4g} misses the required {gate.minimum:.4g}")
    if not has_champion:
        return Verdict(True, f"first champion, {gate.metric} {offered:.4g}")
    if champion is None or math.isnan(champion):
        return Verdict(True, f"the champion has no {gate.metric}; this one has {offered:.4g}")
    better = sign * offered > sign * champion
    relation = "better" if better else "not better"
    return Verdict(better, f"{gate.metric} {offered:.4g} is {relation} than the champion's {champion:.4g}")


def gate_of(values: Mapping[str, Any]) -> Gate:
    """The gate in an offer's values, which have other keys too."""
    return Gate(**{name: value for name, value in values.items() if name in Gate.model_fields})
