"""Stage `study`: compares the arms of a study over all seeds → means, paired differences, a page.

It is added by the section `study:` of a pipeline; its settings are the expanded design of the study.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kepipe.config import ConfigConflict
from kepipe.flow.artifact import Artifact
from kepipe.flow.stage import Planned, Stage, StageContext
from kepipe.stages.artifacts import Study
from kepipe.studies.design import Design
from kepipe.studies.figures import refusal

if TYPE_CHECKING:
    from kepipe.studies.findings import Finding


@dataclass(frozen=True)
class StudyInputs:
    """The measured results, and the models of all copies."""

    results: tuple[Artifact, ...]


def study(inputs: StudyInputs, config: Design, context: StageContext) -> None:
    """Write `study.json` and `report.html`. Raises NotComparable if the arms' training conditions differ, ValueError if
    a result lacks a metric."""
    from kepipe.report.page import render
    from kepipe.report.study import build
    from kepipe.studies.compare import compare
    from kepipe.studies.findings import as_json
    from kepipe.studies.verdict import answer, headline, is_one, listed

    results = {artifact.name: artifact for artifact in inputs.results}
    comparison = compare(config, results)
    deciding = comparison.deciding(config)
    record = {
        "verdict": headline(config, deciding),
        "tasks": {finding.measure.stage: answer(config, finding, deciding) for finding in deciding},
        "reference": config.reference,
        "controls": list(config.controls),
        "seeds": config.seeds(),
        "conditions": comparison.conditions,
        "findings": [as_json(finding) for finding in comparison.findings],
    }
    text = json.dumps(record, indent=1, ensure_ascii=False)
    (context.out / "study.json").write_text(text + "\n", encoding="utf-8")
    with context.progress("drawing the page"):
        page = render(build(config, comparison, inputs.results))
        (context.out / "report.html").write_text(page, encoding="utf-8")
    for finding in comparison.findings:
        name = finding.measure.name
        context.log({f"{values.arm}/{name}": values.mean.value for values in finding.values})
        context.log({f"{d.first} - {d.second}/{name}": d.mean.value for d in finding.differences})
        if lacking := finding.lacking(config):
            context.note(f"{name}: not available in {listed(lacking)}")
    for finding in deciding:
        for line in _comparison_lines(finding, len(deciding) > 1, is_one(config, deciding)):
            context.note(line)
    for finding in deciding if len(deciding) > 1 else ():
        context.note(answer(config, finding, deciding))
    context.note(headline(config, deciding))


def _comparison_lines(finding: Finding, several: bool, one: bool) -> Iterator[str]:
    """A line for each comparison, with the task's name if there are several. `one`: as of `explain`."""
    from kepipe.studies.verdict import explain

    task = f"{finding.measure.stage}, " if several else ""
    for difference in finding.differences:
        mean = difference.mean
        interval = "" if mean.low is None else f" (95%: {mean.low:+.4f} to {mean.high:+.4f})"
        pair = f"{difference.first} − {difference.second}"
        yield f"{task}{pair}: {mean.value:+.4f}{interval}, {explain(difference, one)}"


def conflicts(stage: Planned) -> Iterator[ConfigConflict]:
    """Metrics that no copy of a measured stage will have, and deciding metrics that some copies will not have."""
    design: Design = stage.config
    results = {planned.name: planned for planned in stage.inputs["results"]}
    for measure in design.measures:
        copies = [results[copy.nodes[measure.stage]] for copy in design.copies if measure.stage in copy.nodes]
        refusals = [refusal(measure.stage, measure.metric, copy.figures) for copy in copies]
        first = next((reason for reason in refusals if reason), None)
        if first and (all(refusals) or measure in design.deciding()):
            yield ConfigConflict(f"measure.{measure.stage}", first)


STUDY = Stage("study", 7, StudyInputs, Design, Study, study, conflicts=conflicts)
