"""Results of finished studies, read from `study.json`, with significance tests and the cost of each arm; a file of
results, to show those of several machines together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from math import prod
from pathlib import Path
from typing import Any

from kepipe.files import write_text
from kepipe.flow.lineage import StageResult, by_digest
from kepipe.flow.plan import Workspace
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
class Cost:
    """The cost of one arm, as a mean over its seeds: processor seconds (None: not recorded), peak memory of the process
    in megabytes, and parameters of its largest model; 0: not known."""

    processor_seconds: float | None = None
    memory: float = 0.0
    parameters: int = 0


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


def write_results(file: Path, studies: Sequence[StudyResult]) -> None:
    """Write studies with their costs, as `read_results` reads them."""
    content = [
        {
            "pipeline": study.pipeline,
            "made": study.made,
            "costs": {arm: asdict(cost) for arm, cost in study.costs.items()},
            "study": study.written,
        }
        for study in studies
    ]
    write_text(file, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_results(file: Path) -> Iterator[StudyResult]:
    """The studies in a file of `write_results`. Raises ValueError for another format."""
    try:
        for entry in read_json(file):
            costs = {str(arm): _read_cost(cost) for arm, cost in entry["costs"].items()}
            yield from_json(
                entry["study"],
                str(entry["pipeline"]),
                made=float(entry["made"]),
                place=str(file),
                costs=costs,
            )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file}: not what `kepipe results --json` writes ({error!r})") from None


def _read_cost(cost: Mapping[str, Any]) -> Cost:
    seconds = cost["processor_seconds"]
    return Cost(None if seconds is None else float(seconds), float(cost["memory"]), int(cost["parameters"]))


def newest(studies: Iterable[StudyResult]) -> list[StudyResult]:
    """The newest study of each pipeline, by name."""
    found: dict[str, StudyResult] = {}
    for study in studies:
        if study.pipeline not in found or study.made >= found[study.pipeline].made:
            found[study.pipeline] = study
    return [found[name] for name in sorted(found)]


def in_workspace(root: Path) -> Iterator[StudyResult]:
    """The newest finished study of each pipeline in a workspace, by name. Damaged ones are skipped."""
    made = by_digest(Workspace(root.resolve()))
    last: dict[str, StageResult] = {}
    for each in made.values():
        name = str(each.record.get("pipeline", "?"))
        if each.kind == "study" and _started(each) >= _started(last.get(name)):
            last[name] = each
    for name, each in sorted(last.items()):
        study = read_json(each.folder / FILE)
        yield from_json(study, name, made=_started(each), place=str(each.folder), costs=_costs(each, made))


def _started(made: StageResult | None) -> float:
    return float(made.record.get("started", 0.0)) if made is not None else 0.0


def _costs(study: StageResult, made: Mapping[str, StageResult]) -> dict[str, Cost]:
    """Arm → the cost of its results that the study read, each counted once per copy."""
    results = {name.partition("/")[2]: made[digest] for name, digest in study.inputs() if digest in made}
    by_arm: dict[str, list[list[StageResult]]] = {}
    for copy in study.settings["copies"]:
        own = [results[node] for node in copy["nodes"].values() if node in results]
        by_arm.setdefault(str(copy["arm"]), []).append(own)
    return {arm: _cost(copies) for arm, copies in by_arm.items()}


def _cost(copies: Sequence[Sequence[StageResult]]) -> Cost:
    every = [each for copy in copies for each in copy]
    seconds = [each.record.get("processor_seconds") for each in every]
    known = [float(value) for value in seconds if value is not None]
    return Cost(
        sum(known) / len(copies) if len(known) == len(every) and every else None,
        max((float(each.record.get("peak_memory", 0.0)) for each in every), default=0.0),
        max((_parameters(each.folder) for each in every), default=0),
    )


def _parameters(folder: Path) -> int:
    """Number of parameters of a model folder; 0 if it has no weights."""
    from safetensors import safe_open

    files = [file for name in ("model", "head") if (file := folder / f"{name}.safetensors").is_file()]
    total = 0
    for file in files:
        with safe_open(file, "numpy") as tensors:
            total += sum(prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    return total
