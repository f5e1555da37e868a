"""Results of finished studies, read from `study.json`, with significance tests and the cost of each arm."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kepipe.flow.lineage import StageResult
from kepipe.studies.costs import Cost, costs_of_study
from kepipe.studies.design import Copy, Design, Measure
from kepipe.studies.findings import Finding, find
from kepipe.studies.gains import gains
from kepipe.studies.intervals import Estimate
from kepipe.studies.significance import PairedTests, holm_adjusted, paired_tests
from kepipe.studies.verdict import headline
from kg.regular_files import read_json

FILE = "study.json"


@dataclass(frozen=True)
class Compared:
    """First arm − second arm. `holm`: the p-value of the t test, corrected for the comparisons of this measure; None if
    there is none."""

    pair: str
    mean: Estimate
    shows: str
    tests: PairedTests
    holm: float | None


@dataclass(frozen=True)
class Measured:
    """One measure: arm → its mean over the seeds, and the comparisons."""

    name: str
    better: str
    arms: Mapping[str, Estimate]
    differences: Sequence[Compared]


@dataclass(frozen=True)
class StudyResult:
    """A finished study. `verdict`: by the present rule for gains, also of an older study. `written`: the content of
    its `study.json`; `made`: Unix time, 0 if not known; `place`: where it was read from; `gained`: whether any arm
    shows a gain; `findings`: its measures by seed."""

    pipeline: str
    verdict: str
    seeds: Sequence[int]
    reference: str
    controls: Sequence[str]
    deciding: frozenset[str]
    measures: Sequence[Measured]
    written: Mapping[str, Any] = field(default_factory=dict)
    made: float = 0.0
    place: str = ""
    costs: Mapping[str, Cost] = field(default_factory=dict)
    gained: bool = False
    findings: Sequence[Finding] = ()


def from_json(study: Mapping[str, Any], pipeline: str, **beside: Any) -> StudyResult:
    """The study in a `study.json`. Raises ValueError for another format."""
    try:
        measures = [_measured(finding) for finding in study["findings"]]
        design = _design(study)
        findings = {
            measure.name: find(design, measure, {arm: each["by_seed"] for arm, each in found["arms"].items()})
            for measure, found in zip(design.measures, study["findings"], strict=True)
        }
        deciding = [findings[measure.name] for measure in design.deciding()]
        return StudyResult(
            pipeline,
            headline(design, deciding),
            design.seeds(),
            design.reference,
            design.controls,
            frozenset(each.measure.name for each in deciding),
            measures,
            study,
            gained=any(gain.shown for each in deciding for gain in gains(design, each, deciding)),
            findings=tuple(findings.values()),
            **beside,
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ValueError(f"{beside.get('place', FILE)}: not what a study writes ({error!r})") from None


def _design(study: Mapping[str, Any]) -> Design:
    """The design of a study, as far as its results depend on it."""
    names = [str(finding["measure"]).partition("/") for finding in study["findings"]]
    measures = tuple(
        Measure(stage=stage, metric=metric, better=finding["better"])
        for (stage, _, metric), finding in zip(names, study["findings"], strict=True)
    )
    arms = dict.fromkeys(arm for finding in study["findings"] for arm in finding["arms"])
    stages = {measure.stage for measure in measures}
    return Design(
        reference=study["reference"],
        controls=tuple(study["controls"]),
        measures=measures,
        copies=tuple(Copy(arm=arm, seed=seed, nodes={}) for arm in arms for seed in study["seeds"]),
        tasks=tuple(task for task in study.get("tasks", ()) if task in stages),
    )


def _measured(finding: Mapping[str, Any]) -> Measured:
    tests = {pair: paired_tests(found["by_seed"]) for pair, found in finding["differences"].items()}
    known = {pair: each.t for pair, each in tests.items() if each.t is not None}
    adjusted = holm_adjusted(known)
    return Measured(
        str(finding["measure"]),
        str(finding["better"]),
        {arm: _mean(found) for arm, found in finding["arms"].items()},
        [
            Compared(pair, _mean(found), str(found["shows"]), tests[pair], adjusted.get(pair))
            for pair, found in finding["differences"].items()
        ],
    )


def _mean(found: Mapping[str, Any]) -> Estimate:
    return Estimate(found["value"], found["low"], found["high"], found["seeds"], found["seeds"])


def newest(studies: Iterable[StudyResult]) -> list[StudyResult]:
    """The newest study of each pipeline, by name."""
    found: dict[str, StudyResult] = {}
    for study in studies:
        if study.pipeline not in found or study.made >= found[study.pipeline].made:
            found[study.pipeline] = study
    return [found[name] for name in sorted(found)]


def in_workspace(made: Mapping[str, StageResult]) -> Iterator[StudyResult]:
    """The newest finished study of each pipeline in a workspace, by name. `made`: its results by digest."""
    last: dict[str, StageResult] = {}
    for each in made.values():
        name = str(each.record.get("pipeline", "?"))
        if each.kind == "study" and _started(each) >= _started(last.get(name)):
            last[name] = each
    for name, each in sorted(last.items()):
        study, costs = read_json(each.folder / FILE), costs_of_study(each, made)
        yield from_json(study, name, made=_started(each), place=str(each.folder), costs=costs)


def _started(made: StageResult | None) -> float:
    return float(made.record.get("started", 0.0)) if made is not None else 0.0
