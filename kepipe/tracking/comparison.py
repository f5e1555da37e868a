"""Comparison of two registered versions: their metrics, and the differences with intervals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kepipe.studies.intervals import Estimate
from kepipe.tracking.decision import DATA, EVALUATION, FOLDER, EvaluatePair
from kepipe.tracking.registry import Version


@dataclass(frozen=True)
class Row:
    """A metric of both versions, None where one lacks it; first − second with its interval if both were
    re-evaluated."""

    metric: str
    first: float | None
    second: float | None
    difference: Estimate | None = None


@dataclass(frozen=True)
class Comparison:
    """`basis`: a sentence on whether the values are comparable."""

    rows: tuple[Row, ...]
    basis: str


def compare(first: Version, second: Version, evaluate_pair: EvaluatePair | None = None) -> Comparison:
    """Compare the metrics stored at registration. With `evaluate_pair`, both versions are re-evaluated on the newer
    one's evaluation, and the differences are paired."""
    first_metrics, second_metrics = figures(first.tags), figures(second.tags)
    same = first.tags.get(DATA) == second.tags.get(DATA)
    basis = (
        "measured on the same data" if same else "measured on different data: the values are not comparable"
    )
    differences: Mapping[str, Estimate] = {}
    if evaluate_pair is not None:
        newer = max(first, second, key=lambda version: version.version)
        evaluation = newer.tags.get(EVALUATION, "")
        pair = (
            evaluate_pair(Path(second.tags[FOLDER]), Path(first.tags[FOLDER]), Path(evaluation))
            if evaluation
            else None
        )
        if pair is None:
            basis += "; they cannot be re-evaluated: a model or an evaluation is no longer in the store"
        else:
            differences = pair.differences
            second_metrics |= pair.champion
            first_metrics |= {name: pair.champion[name] + each.value for name, each in differences.items()}
            basis = f"both evaluated on the questions of version {newer.version}"
            basis += f"; {pair.unpaired}" if pair.unpaired else ""
    names = sorted(first_metrics.keys() | second_metrics.keys())
    rows = (
        Row(name, first_metrics.get(name), second_metrics.get(name), differences.get(name)) for name in names
    )
    return Comparison(tuple(rows), basis)


def figures(tags: Mapping[str, str]) -> dict[str, float]:
    """The metrics in a version's tags, by name."""
    metrics = {}
    for name, value in tags.items():
        if name.startswith("metric."):
            metrics[name.removeprefix("metric.").replace("_at_", "@")] = float(value)
    return metrics
