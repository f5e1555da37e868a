"""A study's design and its finished results → checked conditions and findings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kepipe.flow.artifact import Artifact
from kepipe.studies.conditions import check_cases, check_conditions
from kepipe.studies.design import Design, Measure
from kepipe.studies.findings import Finding, find
from kepipe.studies.reading import Figure, NoFigure, read_figure


@dataclass(frozen=True)
class Comparison:
    """The training conditions that the arms share, by stage, and the findings, by measure."""

    conditions: Mapping[str, Mapping[str, Any]]
    findings: tuple[Finding, ...]

    def deciding(self, design: Design) -> list[Finding]:
        """The findings of the deciding measures, one per task."""
        by_name = {finding.measure.name: finding for finding in self.findings}
        return [by_name[measure.name] for measure in design.deciding()]


def compare(design: Design, results: Mapping[str, Artifact]) -> Comparison:
    """Compare the arms; `results` are the finished stages by node.

    An arm may lack a figure that does not decide, such as the accuracy of an objective that it does not have: if no
    seed has it, the arm is left out of that measure. Raises NotComparable if arms were not trained or measured alike,
    ValueError for a missing figure.
    """
    conditions = check_conditions(design, results)
    return Comparison(conditions, tuple(_find(design, measure, results) for measure in design.measures))


def _find(design: Design, measure: Measure, results: Mapping[str, Artifact]) -> Finding:
    figures, lacking = _read(design, measure, results)
    if lacking and (not figures or measure in design.deciding()):
        raise lacking[0]
    for seed in design.seeds():
        check_cases(
            design, measure.name, seed, {arm: by_seed[seed].cases for arm, by_seed in figures.items()}
        )
    values = {arm: [by_seed[seed].value for seed in design.seeds()] for arm, by_seed in figures.items()}
    return find(design, measure, values)


def _read(
    design: Design, measure: Measure, results: Mapping[str, Artifact]
) -> tuple[dict[str, dict[int, Figure]], list[NoFigure]]:
    """Arm → seed → figure, and the errors of the arms without it. Raises NoFigure for an arm that only has it for some
    seeds."""
    stages = {name: stage for copy in design.copies for stage, name in copy.nodes.items()}
    figures: dict[str, dict[int, Figure]] = {}
    lacking: list[NoFigure] = []
    for arm in design.arms():
        by_seed: dict[int, Figure] = {}
        reasons: list[NoFigure] = []
        for copy in design.of(arm):
            try:
                by_seed[copy.seed] = read_figure(results[copy.nodes[measure.stage]], measure.metric, stages)
            except NoFigure as reason:
                reasons.append(reason)
        if by_seed and reasons:
            raise reasons[0]
        if by_seed:
            figures[arm] = by_seed
        lacking += reasons
    return figures, lacking
