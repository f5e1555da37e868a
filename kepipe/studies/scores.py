"""`scores.json`, the common format of the scores of all stages that measure models.

    {"format": "kepipe-scores/1",
     "arms": {arm: {measured: {metric: {value, low, high, cases, clusters}}}},
     "differences": [{"first": arm, "second": arm, "scores": {measured: {metric: {…}}}}],
     "baseline_differences": [{"first": arm, "second": baseline, "scores": {measured: {metric: {…}}}}],
     "baselines": {measured: {baseline: {metric: {…}}}},
     "details": {measured: …},
     "skipped": {measured: the reason}}

`measured` is a probe of an evaluation, or a split of a task's data. A metric `group/name` is over some of the cases.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kepipe.studies.intervals import Estimate
from kg.regular_files import read_json

FILE, FORMAT = "scores.json", "kepipe-scores/1"
MODEL = "model"
"""The name of the arm in a stage that measures only the model that it makes."""

Metrics = Mapping[str, Estimate]
"""Metric → its value, with interval and cases."""


@dataclass(frozen=True)
class Difference:
    """`first` − `second`, of two arms (or an arm and a baseline) that answered the same cases, for everything that both
    have."""

    first: str
    second: str
    scores: Mapping[str, Metrics]

    @property
    def name(self) -> str:
        """Its name: `pretrain − control`."""
        return f"{self.first} − {self.second}"


@dataclass(frozen=True)
class Scores:
    """The scores of arms, their differences, baselines that need no model, details of the measurements, reasons for
    skipped ones, and paired differences of arms from baselines."""

    arms: Mapping[str, Mapping[str, Metrics]]
    differences: tuple[Difference, ...] = ()
    baselines: Mapping[str, Mapping[str, Metrics]] = field(default_factory=dict)
    details: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    skipped: Mapping[str, str] = field(default_factory=dict)
    baseline_differences: tuple[Difference, ...] = ()


def main_metrics(metrics: Metrics) -> dict[str, Estimate]:
    """The metrics over all cases, without those of groups."""
    return {name: score for name, score in metrics.items() if "/" not in name}


def all_values(scores: Mapping[str, Metrics]) -> dict[str, float]:
    """`measured/metric` → value, of one arm."""
    return {
        f"{measured}/{name}": score.value
        for measured, metrics in scores.items()
        for name, score in metrics.items()
    }


def single_values(scores: Mapping[str, Metrics]) -> dict[str, float]:
    """`measured/metric` → value, of one arm; groups are left out."""
    return {
        f"{measured}/{name}": score.value
        for measured, metrics in scores.items()
        for name, score in main_metrics(metrics).items()
    }


def write_scores(file: Path, scores: Scores) -> None:
    """Write the file; equal scores give equal bytes."""
    file.write_text(json.dumps(as_json(scores), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def as_json(scores: Scores) -> dict[str, Any]:
    """The content of the file."""
    return {
        "format": FORMAT,
        "arms": {arm: _plain(measured) for arm, measured in scores.arms.items()},
        "differences": [_plain_difference(each) for each in scores.differences],
        "baseline_differences": [_plain_difference(each) for each in scores.baseline_differences],
        "baselines": {measured: _plain(named) for measured, named in scores.baselines.items()},
        "details": scores.details,
        "skipped": scores.skipped,
    }


def read_scores(file: Path) -> Scores:
    """The scores of a file. Raises ValueError for another format."""
    values = read_json(file)
    if not is_scores(values):
        raise ValueError(f"{file}: expected scores of the format {FORMAT}; run the stage that makes it again")
    return from_json(values)


def is_scores(values: Any) -> bool:
    """Whether parsed JSON is a file of scores."""
    return isinstance(values, Mapping) and values.get("format") == FORMAT


def from_json(values: Mapping[str, Any]) -> Scores:
    """The scores in parsed JSON."""
    return Scores(
        {arm: _typed(measured) for arm, measured in values["arms"].items()},
        _typed_differences(values["differences"]),
        {measured: _typed(named) for measured, named in values["baselines"].items()},
        values["details"],
        values.get("skipped", {}),
        _typed_differences(values.get("baseline_differences", ())),
    )


def _plain(scores: Mapping[str, Metrics]) -> dict[str, dict[str, Any]]:
    return {
        name: {metric: score.as_json() for metric, score in metrics.items()}
        for name, metrics in scores.items()
    }


def _plain_difference(difference: Difference) -> dict[str, Any]:
    return {
        "first": difference.first,
        "second": difference.second,
        "scores": _plain(difference.scores),
    }


def _typed_differences(values: Iterable[Mapping[str, Any]]) -> tuple[Difference, ...]:
    return tuple(Difference(each["first"], each["second"], _typed(each["scores"])) for each in values)


def _typed(scores: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, dict[str, Estimate]]:
    return {
        name: {metric: Estimate(**score) for metric, score in metrics.items()}
        for name, metrics in scores.items()
    }
