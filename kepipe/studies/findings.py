"""Means, paired differences, and whether a gain is shown, from one value per arm and seed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from kepipe.studies.design import Design, Measure
from kepipe.studies.intervals import Estimate, mean_over_seeds
from kepipe.studies.significance import holm_adjusted, paired_tests

Answer = Literal["gain", "loss", "open", "same"]
"""The interval is on the better side of 0, on the worse side, or contains 0; or values are equal with every seed."""


@dataclass(frozen=True)
class Values:
    """The values of one arm, one per seed in the design's order, and their mean."""

    arm: str
    by_seed: tuple[float, ...]
    mean: Estimate


@dataclass(frozen=True)
class Difference:
    """Arm `first` − arm `second`, seed by seed, and the conclusion."""

    first: str
    second: str
    by_seed: tuple[float, ...]
    mean: Estimate
    answer: Answer


@dataclass(frozen=True)
class Finding:
    """One measure: the values of all arms that have it, and the comparisons."""

    measure: Measure
    values: tuple[Values, ...]
    differences: tuple[Difference, ...]

    def lacking(self, design: Design) -> list[str]:
        """The arms without this measure."""
        measured = {values.arm for values in self.values}
        return [arm for arm in design.arms() if arm not in measured]

    def of(self, arm: str) -> Values:
        """An arm's values."""
        return next(values for values in self.values if values.arm == arm)

    def holm(self) -> dict[tuple[str, str], float]:
        """Pair of arms → the p-value of its t test, corrected for all comparisons of the measure (Holm 1979)."""
        tests = {f"{d.first} − {d.second}": paired_tests(d.by_seed).t for d in self.differences}
        adjusted = holm_adjusted({pair: p for pair, p in tests.items() if p is not None})
        pairs = {f"{d.first} − {d.second}": (d.first, d.second) for d in self.differences}
        return {pairs[name]: p for name, p in adjusted.items()}

    def between(self, first: str, second: str) -> Difference:
        """The comparison of two arms."""
        return next(d for d in self.differences if (d.first, d.second) == (first, second))


def find(design: Design, measure: Measure, by_arm: Mapping[str, Sequence[float]]) -> Finding:
    """The finding of a measure; `by_arm`: arm that has it → a value per seed, in the design's order."""
    values = tuple(Values(arm, tuple(found), mean_over_seeds(found)) for arm, found in by_arm.items())
    differences = []
    for first, second in design.comparisons():
        if first not in by_arm or second not in by_arm:
            continue
        apart = tuple(a - b for a, b in zip(by_arm[first], by_arm[second], strict=True))
        mean = mean_over_seeds(apart)
        differences.append(Difference(first, second, apart, mean, _answer(measure, apart, mean)))
    return Finding(measure, values, tuple(differences))


def _answer(measure: Measure, apart: Sequence[float], mean: Estimate) -> Answer:
    if not any(apart):
        return "same"
    if not mean.excludes_zero:
        return "open"
    return "gain" if measure.sign * mean.value > 0 else "loss"


def helped(design: Design, finding: Finding, arm: str) -> bool:
    """Whether an arm shows a gain over the reference and over every control."""
    rivals = dict.fromkeys((design.reference, *design.controls))
    return all(finding.between(arm, rival).answer == "gain" for rival in rivals)


def as_json(finding: Finding) -> dict[str, Any]:
    """Plain data, as in `study.json`."""
    measure, adjusted = finding.measure, finding.holm()
    return {
        "measure": measure.name,
        "better": measure.better,
        "arms": {v.arm: {**_mean_json(v.mean), "by_seed": list(v.by_seed)} for v in finding.values},
        "differences": {
            f"{d.first} − {d.second}": {
                **_mean_json(d.mean),
                "by_seed": list(d.by_seed),
                "shows": d.answer,
                "p": {**asdict(paired_tests(d.by_seed)), "holm": adjusted.get((d.first, d.second))},
            }
            for d in finding.differences
        },
    }


def _mean_json(mean: Estimate) -> dict[str, Any]:
    return {"value": mean.value, "low": mean.low, "high": mean.high, "seeds": mean.cases}
