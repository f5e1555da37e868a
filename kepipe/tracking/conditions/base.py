"""Base class of the gate's conditions, with their input and result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import ClassVar, Literal

from kepipe.config import Section
from kepipe.studies.design import Better, better_by_name
from kepipe.studies.intervals import Estimate

Data = Literal["new", "old"]
"""The new model's evaluation, or the evaluation with which the champion was registered."""


@dataclass(frozen=True)
class PairedEvaluation:
    """The champion, and where possible the new model, evaluated now on the same questions.

    `champion`: `probe/metric` → the champion's value. `differences`: `probe/metric` → new − champion, paired by case,
    with a 95% interval from resampled documents. `unpaired`: why some metrics have no difference.
    """

    champion: Mapping[str, float]
    differences: Mapping[str, Estimate] = field(default_factory=dict)
    unpaired: str = ""


@dataclass(frozen=True)
class GateInput:
    """Input of the gate for a new model. `metric`: the gate's metric. `values`: the new model's metrics and costs.

    `evaluate_pair`: evaluates both models on the same questions, or returns None and a reason; it is called only if a
    condition needs it. None: there is no champion. `better`: direction of `metric`; None: inferred from its name.
    """

    metric: str
    values: Mapping[str, float]
    evaluate_pair: Callable[[Data], tuple[PairedEvaluation | None, str]] | None
    better: Better | None = None

    def sign(self, metric: str) -> int:
        """+1 if higher values of a metric are better, −1 if lower ones are."""
        better = self.better if metric == self.metric else None
        return 1 if (better or better_by_name(metric)) == "higher" else -1

    def gain(self, metric: str, difference: Estimate) -> Estimate:
        """The difference new − champion, with its sign flipped for metrics where lower is better."""
        if self.sign(metric) > 0:
            return difference
        low, high = difference.low, difference.high
        return Estimate(
            -difference.value,
            None if high is None else -high,
            None if low is None else -low,
            difference.cases,
            difference.clusters,
        )


@dataclass(frozen=True)
class ConditionResult:
    """Whether a condition is met, None if a person has to decide, and the reason as a sentence."""

    met: bool | None
    why: str


class Condition(Section, ABC):
    """A condition with its settings."""

    costs: ClassVar[tuple[str, ...]] = ()
    """Costs of the model that it needs, names from `kepipe.tracking.costs`."""

    @abstractmethod
    def check(self, inputs: GateInput) -> ConditionResult:
        """Whether the new model meets the condition."""

    def metrics(self) -> tuple[str, ...]:
        """Names of metrics that it needs; `*` matches any part."""
        return ()


def describe(gained: Estimate) -> str:
    """`better by 0.031 (95% interval 0.012 to 0.05)`."""
    word = "better" if gained.value >= 0 else "worse"
    if gained.low is None or gained.high is None:
        return f"{word} by {abs(gained.value):.4g} (no interval: {gained.clusters} documents are too few)"
    return (
        f"{word} by {abs(gained.value):.4g} (95% interval of the gain {gained.low:.4g} to {gained.high:.4g})"
    )


def matching(pattern: str, differences: Mapping[str, Estimate]) -> list[str]:
    """The metrics that match a name with `*`."""
    return [name for name in differences if fnmatchcase(name, pattern)]


def check_limit(value: float | None, most: float, what: str, unit: str) -> ConditionResult:
    """Whether a cost is within its limit."""
    if value is None:
        return ConditionResult(False, f"{what} was not measured")
    relation = "within" if value <= most else "above"
    return ConditionResult(value <= most, f"{what} {value:.4g} {unit} is {relation} {most:.4g} {unit}")
