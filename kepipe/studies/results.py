"""Results of finished studies, read from `study.json`, with significance tests and the cost of each arm."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kepipe.flow.lineage import StageResult
from kepipe.studies.costs import Cost, costs_of_study
from kepipe.studies.intervals import Estimate
from kepipe.studies.significance import PairedTests, holm_adjusted, paired_tests
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
    """A finished study. `written`: the content of its `study.json`; `made`: Unix time, 0 if not known; `place`: where
    it was read from."""

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


def from_json(study: Mapping[str, Any], pipeline: str, **beside: Any) -> StudyResult:
    """The study in a `study.json`. Raises ValueError for another format."""
    try:
        measures = [_measured(finding) for finding in study["findings"]]
        tasks = tuple(study.get("tasks", ()))
        first = {measure.name.split("/")[0]: measure.name for measure in reversed(measures)}
        return StudyResult(
            pipeline,
            str(study["verdict"]),
            [int(seed) for seed in study["seeds"]],
            str(study["reference"]),
            [str(control) for control in study["controls"]],
            frozenset(first[task] for task in tasks if task in first) or frozenset([measures[0].name]),
            measures,
            study,
            **beside,
        )
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"{beside.get('place', FILE)}: not what a study writes ({error!r})") from None


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
