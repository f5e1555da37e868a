"""Stage `study`: what the arms of a study reached, with all seeds → means, paired differences, a page.

The section `study:` of a pipeline makes it; its settings are the design that the section was expanded to.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from kepipe.flow.artifact import Artifact
from kepipe.flow.stage import Stage, Work
from kepipe.stages.artifacts import Study
from kepipe.study.design import Design


@dataclass(frozen=True)
class StudyInputs:
    """The results that are measured, and the models of all copies."""

    results: tuple[Artifact, ...]


def study(inputs: StudyInputs, config: Design, work: Work) -> None:
    """Write `study.json` and `report.html`. Raises NotComparable where the arms were not trained alike, ValueError
    where a result lacks what is to be measured."""
    from kepipe.report.page import render
    from kepipe.report.study import build
    from kepipe.study.compare import compare
    from kepipe.study.findings import as_json
    from kepipe.study.verdict import explain, headline

    results = {artifact.name: artifact for artifact in inputs.results}
    comparison = compare(config, results)
    told = {
        "verdict": headline(config, comparison.findings[0]),
        "reference": config.reference,
        "controls": list(config.controls),
        "seeds": config.seeds(),
        "conditions": comparison.conditions,
        "findings": [as_json(finding) for finding in comparison.findings],
    }
    text = json.dumps(told, indent=1, ensure_ascii=False)
    (work.out / "study.json").write_text(text + "\n", encoding="utf-8")
    with work.progress("drawing the page"):
        page = render(build(config, comparison, inputs.results))
        (work.out / "report.html").write_text(page, encoding="utf-8")
    for finding in comparison.findings:
        name = finding.measure.name
        work.log({f"{values.arm}/{name}": values.mean.value for values in finding.values})
        work.log({f"{d.first} - {d.second}/{name}": d.mean.value for d in finding.differences})
    for difference in comparison.findings[0].differences:
        apart, outcome = difference.mean, explain(difference)
        sure = "" if apart.low is None else f" (95%: {apart.low:+.4f} to {apart.high:+.4f})"
        work.note(f"{difference.first} − {difference.second}: {apart.value:+.4f}{sure}, {outcome}")
    work.note(headline(config, comparison.findings[0]))


STUDY = Stage("study", 2, StudyInputs, Design, Study, study)
