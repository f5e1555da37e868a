"""Scores of stages outside of studies: evaluations, fine-tuned models, files of `kepipe quiz --json`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from kepipe.flow.lineage import StageResult
from kepipe.flow.plan import Workspace
from kepipe.studies.costs import Cost, costs_of_models
from kepipe.studies.scores import FILE, Difference, Metrics, Scores, from_json, is_scores, main_metrics
from kg.regular_files import read_json


@dataclass(frozen=True)
class StageScores:
    """The scores of a finished stage. `stage` is "" for a file that no pipeline made. `costs`: arm → cost of its model.
    `made`: Unix time, 0 if not known; `place`: where they were read from."""

    pipeline: str
    stage: str
    scores: Scores
    costs: Mapping[str, Cost] = field(default_factory=dict)
    made: float = 0.0
    place: str = ""


def without_groups(scores: Scores) -> Scores:
    """The arms and differences with the metrics over all cases; of a task's splits, `test` if there is one."""
    return Scores(
        {arm: _main(measured) for arm, measured in scores.arms.items()},
        tuple(Difference(each.first, each.second, _main(each.scores)) for each in scores.differences),
    )


def _main(measured: Mapping[str, Metrics]) -> dict[str, Metrics]:
    names = [name for name in measured if name != "dev" or "test" not in measured]
    return {name: main_metrics(measured[name]) for name in names}


def outside_of_studies(workspace: Workspace, made: Mapping[str, StageResult]) -> Iterator[StageScores]:
    """The scores of the latest artifacts of every pipeline, by name and time, without those of a study's arms. Damaged
    ones are skipped. `made`: results by digest."""
    for folder in sorted(workspace.root.iterdir()) if workspace.root.is_dir() else ():
        if not folder.is_dir() or folder.name in Workspace.RESERVED:
            continue
        latest = dict(_latest(folder))
        of_studies = {
            node
            for each in latest.values()
            if each.kind == "study"
            for copy in each.settings["copies"]
            for node in copy["nodes"].values()
        }
        by_time = sorted(latest.items(), key=lambda item: float(item[1].record.get("started", 0.0)))
        for stage, each in by_time:
            # A name with dots, `finetune.full.0`, is that of a copy, also before its study is finished.
            if stage not in of_studies and "." not in stage:
                yield from _scores(folder.name, stage, each, made)


def _latest(folder: Path) -> Iterator[tuple[str, StageResult]]:
    for link in folder.iterdir():
        if link.is_symlink() and link.is_dir():
            try:
                yield link.name, StageResult.open(link)
            except ValueError:
                continue


def _scores(
    pipeline: str, stage: str, result: StageResult, made: Mapping[str, StageResult]
) -> Iterator[StageScores]:
    file = result.folder / FILE
    values = read_json(file) if file.is_file() else None
    if values is not None and is_scores(values):
        scores = without_groups(from_json(values))
        costs = costs_of_models(result, scores.arms, made)
        started = float(result.record.get("started", 0.0))
        yield StageScores(pipeline, stage, scores, costs, started, str(result.folder))


def newest_scores(scores: Iterable[StageScores]) -> list[StageScores]:
    """The newest scores of each stage, in the order of their pipelines and times."""
    found: dict[tuple[str, str], StageScores] = {}
    for each in scores:
        known = found.get((each.pipeline, each.stage))
        if known is None or each.made >= known.made:
            found[each.pipeline, each.stage] = each
    return sorted(found.values(), key=lambda each: (each.pipeline, each.made, each.stage))


def of_file(file: Path, scores: Scores) -> StageScores:
    """The scores of a single file."""
    return replace(StageScores(file.stem, "", without_groups(scores)), place=str(file))
