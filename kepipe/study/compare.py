"""A study's design and its finished results → checked conditions and findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kepipe.flow.artifact import Artifact
from kepipe.study.conditions import check_cases, check_conditions
from kepipe.study.design import Design, Measure
from kepipe.study.findings import Finding, find
from kepipe.study.reading import Figure, read_figure


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

    Raises NotComparable where they were not trained or measured alike, ValueError for a figure that is not there.
    """
    conditions = check_conditions(design, results)
    return Comparison(conditions, tuple(_find(design, measure, results) for measure in design.measures))


def _find(design: Design, measure: Measure, results: Mapping[str, Artifact]) -> Finding:
    stages = {name: stage for copy in design.copies for stage, name in copy.nodes.items()}
    found: dict[str, dict[int, Figure]] = {arm: {} for arm in design.arms()}
    for copy in design.copies:
        found[copy.arm][copy.seed] = read_figure(results[copy.nodes[measure.stage]], measure.metric, stages)
    for seed in design.seeds():
        check_cases(design, measure.name, seed, {arm: told[seed].cases for arm, told in found.items()})
    values = {arm: [told[seed].value for seed in design.seeds()] for arm, told in found.items()}
    return find(design, measure, values)
