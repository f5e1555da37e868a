"""A study's design and its finished results → checked conditions and findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kepipe.flow.artifact import Artifact
from kepipe.study.conditions import check_cases, check_conditions
from kepipe.study.design import Design, Measure
from kepipe.study.findings import Finding, find
from kepipe.study.reading import Figure, NoFigure, read_figure


@dataclass(frozen=True)
class Comparison:
    """What the arms share, by stage, and what was found, measure by measure."""

    conditions: Mapping[str, Mapping[str, Any]]
    findings: tuple[Finding, ...]

    def deciding(self, design: Design) -> list[Finding]:
        """What decides: a finding for each task."""
        found = {finding.measure.name: finding for finding in self.findings}
        return [found[measure.name] for measure in design.deciding()]


def compare(design: Design, results: Mapping[str, Artifact]) -> Comparison:
    """Compare the arms; `results` are the finished stages by node.

    An arm may lack a figure that does not decide, such as the accuracy of an objective that it does not have; it is
    left out of that measure. Raises NotComparable where arms were not trained or measured alike, ValueError for a
    figure that is not there.
    """
    conditions = check_conditions(design, results)
    return Comparison(conditions, tuple(_find(design, measure, results) for measure in design.measures))


def _find(design: Design, measure: Measure, results: Mapping[str, Artifact]) -> Finding:
    found, missing = _read(design, measure, results)
    if missing and (not found or measure in design.deciding()):
        raise missing
    for seed in design.seeds():
        check_cases(design, measure.name, seed, {arm: told[seed].cases for arm, told in found.items()})
    values = {arm: [told[seed].value for seed in design.seeds()] for arm, told in found.items()}
    return find(design, measure, values)


def _read(
    design: Design, measure: Measure, results: Mapping[str, Artifact]
) -> tuple[dict[str, dict[int, Figure]], NoFigure | None]:
    """Arm → seed → figure, of the arms that have it with every seed, and what was said of the last one that has not."""
    stages = {name: stage for copy in design.copies for stage, name in copy.nodes.items()}
    found: dict[str, dict[int, Figure]] = {}
    missing = None
    for arm in design.arms():
        try:
            found[arm] = {
                copy.seed: read_figure(results[copy.nodes[measure.stage]], measure.metric, stages)
                for copy in design.of(arm)
            }
        except NoFigure as reason:
            missing = reason
    return found, missing
