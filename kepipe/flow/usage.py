"""Disk usage of finished stages: size, pipeline and age."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kepipe import files
from kepipe.flow.artifact import RECORD
from kepipe.flow.plan import Workspace
from kg.regular_files import read_json


@dataclass(frozen=True)
class CachedResult:
    """A finished stage's folder: the pipeline and stage that made it, when (Unix time, 0 if unknown), and whether it is
    a pipeline's latest artifact of that stage."""

    folder: Path
    pipeline: str
    stage: str
    made: float
    used: bool


def results(workspace: Workspace) -> list[CachedResult]:
    """All results, by pipeline and stage, the newest of each first."""
    used = workspace.in_use()
    found = [_result(folder, folder.resolve() in used) for folder in workspace.store.finished()]
    return sorted(found, key=lambda result: (result.pipeline, result.stage, -result.made))


def outdated(found: Sequence[CachedResult], keep: int, before: float) -> Iterator[CachedResult]:
    """Results that can be removed: not the latest of a pipeline, made before `before` (Unix time), and not among the
    `keep` newest of their stage."""
    by_stage: dict[tuple[str, str], list[CachedResult]] = defaultdict(list)
    for result in found:
        by_stage[result.pipeline, result.stage].append(result)
    for of_stage in by_stage.values():
        for result in of_stage[keep:]:
            if not result.used and result.made < before:
                yield result


class DiskUsage:
    """Sizes of folders in bytes, counting a file with several hard links once."""

    def __init__(self) -> None:
        self._seen: set[tuple[int, int]] = set()

    def of(self, folder: Path) -> int:
        """Size of a folder without the files that earlier calls counted."""
        total = 0
        for about in files.file_stats(folder):
            if (about.st_dev, about.st_ino) not in self._seen:
                self._seen.add((about.st_dev, about.st_ino))
                total += about.st_size
        return total


def _result(folder: Path, used: bool) -> CachedResult:
    try:
        record = read_json(folder / RECORD / "run.json")
        made = float(record["started"]) + float(record["seconds"])
        return CachedResult(folder, str(record["pipeline"]), str(record["stage"]), made, used)
    except (OSError, ValueError, KeyError, TypeError):
        return CachedResult(folder, "?", "?", 0.0, used)
