"""Two registered versions side by side: their figures, and what the difference is worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kepipe.studies.intervals import Estimate
from kepipe.tracking.decision import DATA, EVALUATION, FOLDER, AskAgain
from kepipe.tracking.registry import Version


@dataclass(frozen=True)
class Row:
    """A figure of both, None where one lacks it, and first − second with its interval where both were asked again."""

    metric: str
    first: float | None
    second: float | None
    difference: Estimate | None = None


@dataclass(frozen=True)
class Comparison:
    """`basis`: whether the figures compare, in words."""

    rows: tuple[Row, ...]
    basis: str


def compare(first: Version, second: Version, rematch: AskAgain | None = None) -> Comparison:
    """The figures with which both were registered; with `rematch` both are put to the questions of the newer one's
    evaluation, and differences are paired."""
    ours, theirs = figures(first.tags), figures(second.tags)
    same = first.tags.get(DATA) == second.tags.get(DATA)
    basis = "measured on the same data" if same else "measured on different data: the values do not compare"
    differences: Mapping[str, Estimate] = {}
    if rematch is not None:
        newer = max(first, second, key=lambda version: version.version)
        evaluation = newer.tags.get(EVALUATION, "")
        found = (
            rematch(Path(second.tags[FOLDER]), Path(first.tags[FOLDER]), Path(evaluation))
            if evaluation
            else None
        )
        if found is None:
            basis += "; they cannot be asked again: a model or an evaluation is not in the store any more"
        else:
            differences = found.differences
            theirs |= found.champion
            ours |= {name: found.champion[name] + each.value for name, each in differences.items()}
            basis = f"both asked again the questions of version {newer.version}"
            basis += f"; {found.unpaired}" if found.unpaired else ""
    names = sorted(ours.keys() | theirs.keys())
    rows = (Row(name, ours.get(name), theirs.get(name), differences.get(name)) for name in names)
    return Comparison(tuple(rows), basis)


def figures(tags: Mapping[str, str]) -> dict[str, float]:
    """The figures of a version, by the names that its tags have."""
    found = {}
    for name, value in tags.items():
        if name.startswith("metric."):
            found[name.removeprefix("metric.").replace("_at_", "@")] = float(value)
    return found
