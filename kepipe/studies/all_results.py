"""All results of a workspace, of studies and of other stages, and a file of them, to show several machines together."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kepipe.files import write_text
from kepipe.flow.lineage import by_digest
from kepipe.flow.plan import Workspace
from kepipe.studies import results, scores
from kepipe.studies.costs import costs_as_json, costs_from_json
from kepipe.studies.results import StudyResult, newest
from kepipe.studies.stage_scores import StageScores, newest_scores, of_file, outside_of_studies
from kg.regular_files import read_json


@dataclass(frozen=True)
class Benchmark:
    """A table that a benchmark printed, and the command that makes it."""

    title: str
    command: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class AllResults:
    """Studies; scores of stages outside of them; tables of benchmarks."""

    studies: Sequence[StudyResult] = ()
    scores: Sequence[StageScores] = ()
    benchmarks: Sequence[Benchmark] = ()

    def __bool__(self) -> bool:
        return bool(self.studies or self.scores or self.benchmarks)


def in_workspace(root: Path) -> AllResults:
    """The newest results of every pipeline in a workspace. Damaged ones are skipped."""
    workspace = Workspace(root.resolve())
    made = by_digest(workspace)
    return AllResults(list(results.in_workspace(made)), list(outside_of_studies(workspace, made)))


def write_results(file: Path, found: AllResults) -> None:
    """Write results with their costs, as `read_results` reads them."""
    write_text(file, json.dumps([*_entries(found)], indent=1, ensure_ascii=False) + "\n")


def _entries(found: AllResults) -> Iterator[dict[str, Any]]:
    for study in found.studies:
        costs = costs_as_json(study.costs)
        yield {"pipeline": study.pipeline, "made": study.made, "costs": costs, "study": study.written}
    for each in found.scores:
        about = {"pipeline": each.pipeline, "stage": each.stage, "made": each.made}
        yield {**about, "costs": costs_as_json(each.costs), "scores": scores.as_json(each.scores)}
    for table in found.benchmarks:
        yield {"benchmark": table.title, "command": table.command, "head": table.head, "rows": table.rows}


def read_results(files: Iterable[Path]) -> AllResults:
    """The newest results in files of `write_results`, or of scores alone. Raises ValueError for another format."""
    studies: list[StudyResult] = []
    measured: list[StageScores] = []
    benchmarks: dict[str, Benchmark] = {}
    for file in files:
        for each in _read(file):
            match each:
                case StudyResult():
                    studies.append(each)
                case StageScores():
                    measured.append(each)
                case Benchmark():
                    benchmarks[each.title] = each
    return AllResults(newest(studies), newest_scores(measured), list(benchmarks.values()))


def _read(file: Path) -> Iterator[StudyResult | StageScores | Benchmark]:
    content = read_json(file)
    try:
        if scores.is_scores(content):
            yield of_file(file, scores.from_json(content))
            return
        for entry in [content] if isinstance(content, dict) else content:
            yield _result(entry, str(file))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{file}: not what `kepipe results --json` writes ({error!r})") from None


def _result(entry: Mapping[str, Any], place: str) -> StudyResult | StageScores | Benchmark:
    if "benchmark" in entry:
        rows = tuple(tuple(map(str, row)) for row in entry["rows"])
        head = tuple(map(str, entry["head"]))
        if any(len(row) != len(head) for row in rows):
            raise ValueError(f"{place}: benchmark {entry['benchmark']!r}: a row is not as long as the head")
        return Benchmark(str(entry["benchmark"]), str(entry["command"]), head, rows)
    pipeline, made, costs = str(entry["pipeline"]), float(entry["made"]), costs_from_json(entry["costs"])
    if "scores" in entry:
        measured = scores.from_json(entry["scores"])
        return StageScores(pipeline, str(entry["stage"]), measured, costs, made, place)
    return results.from_json(entry["study"], pipeline, made=made, place=place, costs=costs)
