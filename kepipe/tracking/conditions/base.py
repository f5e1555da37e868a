"""What a condition is given, and what it finds."""

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
"""The evaluation in which the new model took part, or that in which the champion became what it is."""


@dataclass(frozen=True)
class Rematch:
    """The champion, and the new model where both were asked, put to the same questions now.

    `champion`: `probe/metric` → its value. `differences`: `probe/metric` → new − champion, paired case by case, with a
    95% interval that resamples documents. `unpaired`: why some have none.
    """

    champion: Mapping[str, float]
    differences: Mapping[str, Estimate] = field(default_factory=dict)
    unpaired: str = ""


@dataclass(frozen=True)
class Facts:
    """What is known of a new model. `metric`: what the gate names, and `values` the new model's, with its costs.

    `rematch`: both put to the same questions, or None with a reason where that cannot be; asked for only where a
    condition needs it. None: there is no champion. `better`: which values of `metric` are; None: told by its name.
    """

    metric: str
    values: Mapping[str, float]
    rematch: Callable[[Data], tuple[Rematch | None, str]] | None
    better: Better | None = None

    def sign(self, metric: str) -> int:
        """+1 where a higher value of a metric is better, −1 where a lower one is."""
        better = self.better if metric == self.metric else None
        return 1 if (better or better_by_name(metric)) == "higher" else -1

    def gain(self, metric: str, difference: Estimate) -> Estimate:
        """A difference new − champion, turned so that more is better."""
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
class Found:
    """Whether a condition is met, None where somebody has to say so first, and why, in words."""

    met: bool | None
    why: str


class Condition(Section, ABC):
    """Settings of a condition, and how it is checked."""

    costs: ClassVar[tuple[str, ...]] = ()
    """What has to be measured of the model for it, of `kepipe.tracking.costs`."""

    @abstractmethod
    def check(self, facts: Facts) -> Found:
        """Whether a new model meets it."""

    def metrics(self) -> tuple[str, ...]:
        """Names of figures that it asks for, `*` standing for any part."""
        return ()


def in_words(gained: Estimate) -> str:
    """`better by 0.031 (95% interval 0.012 to 0.05)`."""
    word = "better" if gained.value >= 0 else "worse"
    if gained.low is None or gained.high is None:
        return f"{word} by {abs(gained.value):.4g} (no interval: {gained.clusters} documents are too few)"
    return (
        f"{word} by {abs(gained.value):.4g} (95% interval of the gain {gained.low:.4g} to {gained.high:.4g})"
    )


def matching(pattern: str, differences: Mapping[str, Estimate]) -> list[str]:
    """The figures that a name with `*` stands for."""
    return [name for name in differences if fnmatchcase(name, pattern)]


def limit(value: float | None, most: float, what: str, unit: str) -> Found:
    """Whether a cost keeps within its limit."""
    if value is None:
        return Found(False, f"its {what} was not measured")
    relation = "within" if value <= most else "above"
    return Found(value <= most, f"{what} {value:.4g} {unit} is {relation} {most:.4g} {unit}")
