"""Whether a new model takes the champion's place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from kepipe.config import Section
from kepipe.studies.design import Better, better_by_name
from kepipe.tracking.conditions.base import Facts, Found
from kepipe.tracking.conditions.table import AnyCondition


class Gate(Section):
    """What a new model must show to become champion."""

    metric: str | None = None
    """What decides, `probe/metric` or `split/metric` in the scores. None: of an evaluation the deciding metric of its
    first probe (`entity_cloze/mrr`), of a fine-tuned model the one that its task is judged by (`test/accuracy`)."""
    better: Better | None = None
    """Whether higher or lower values are better. None: told by the name (a loss: lower)."""
    minimum: float | None = None
    """Worst value that a champion may have, even where there is no other; none: any value serves."""
    conditions: tuple[AnyCondition, ...] = ()
    """All that has to be met: `better`, `no-worse`, `at-least`, `latency`, `size`, `memory`, `approval`, each with its
    settings. None: a better value of `metric` than the champion's, and `minimum`."""

    def plain(self) -> dict[str, Any]:
        """The settings as plain JSON data."""
        values = self.model_dump(mode="json")
        return values if self.conditions else {k: v for k, v in values.items() if k != "conditions"}

    def costs(self) -> tuple[str, ...]:
        """What has to be measured of a model before it is offered."""
        return tuple(dict.fromkeys(cost for each in self.conditions for cost in each.costs))


@dataclass(frozen=True)
class Verdict:
    """Whether the new model is promoted, and a sentence that says why. `waits`: every condition is met but a person's
    approval. `found`: condition → what was found."""

    promote: bool
    why: str
    waits: bool = False
    found: tuple[tuple[str, Found], ...] = ()


def decide(gate: Gate, facts: Facts) -> Verdict:
    """Check every condition of a gate that has some."""
    found = tuple((str(each.condition), each.check(facts)) for each in gate.conditions)  # type: ignore[attr-defined]
    refused = [result.why for _, result in found if result.met is False]
    waits = not refused and any(result.met is None for _, result in found)
    if refused:
        why = f"refused: {'; '.join(refused)}"
    elif waits:
        why = "every other condition is met; it waits for a person's approval (`kepipe models approve`)"
    else:
        why = f"every condition is met: {'; '.join(result.why for _, result in found)}"
    return Verdict(not refused and not waits, why, waits, found)


def check(gate: Gate, offered: float | None, champion: float | None, holds: bool) -> Verdict:
    """Compare the offered model's value with the champion's; `holds` says whether there is a champion.

    A model without the metric never becomes champion; a champion without it gives way to one that has it.
    Equal values change nothing. Raises ValueError for a gate that does not say what decides.
    """
    verdict = _check(gate, offered, champion, holds)
    return replace(verdict, found=(("metric", Found(verdict.promote, verdict.why)),))


def _check(gate: Gate, offered: float | None, champion: float | None, holds: bool) -> Verdict:
    if gate.metric is None:
        raise ValueError("the gate names no metric")
    if offered is None or math.isnan(offered):
        return Verdict(False, f"it has no {gate.metric}")
    sign = 1 if (gate.better or better_by_name(gate.metric)) == "higher" else -1
    if gate.minimum is not None and sign * offered < sign * gate.minimum:
        return Verdict(False, f"{gate.metric} {offered:.4g} misses the required {gate.minimum:.4g}")
    if not holds:
        return Verdict(True, f"first champion, {gate.metric} {offered:.4g}")
    if champion is None or math.isnan(champion):
        return Verdict(True, f"the champion has no {gate.metric}; this one has {offered:.4g}")
    better = sign * offered > sign * champion
    relation = "better" if better else "not better"
    return Verdict(better, f"{gate.metric} {offered:.4g} is {relation} than the champion's {champion:.4g}")


def gate_of(values: Mapping[str, Any]) -> Gate:
    """The gate of an offer, which carries more than that."""
    return Gate(**{name: value for name, value in values.items() if name in Gate.model_fields})
