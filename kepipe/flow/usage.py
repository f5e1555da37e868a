"""What finished stages take on the disk, whose they are, and which are old."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kepipe.flow.artifact import RECORD
from kepipe.flow.plan import Workspace
from kg.regular_files import read_json


@dataclass(frozen=True)
class Result:
    """A finished stage's folder: the pipeline and the stage that made it, when (Unix time, 0 where nobody knows), and
    whether a pipeline's newest run uses it."""

    folder: Path
    pipeline: str
    stage: str
    made: float
    used: bool


def results(workspace: Workspace) -> list[Result]:
    """All of them, by pipeline and stage, the newest of each first."""
    used = workspace.in_use()
    found = [_result(folder, folder.resolve() in used) for folder in workspace.store.finished()]
    return sorted(found, key=lambda result: (result.pipeline, result.stage, -result.made))


def outdated(found: Sequence[Result], keep: int, before: float) -> Iterator[Result]:
    """Those that no newest run uses, that were made before a time, and are not among the `keep` newest of their
    stage."""
    by_stage: dict[tuple[str, str], list[Result]] = defaultdict(list)
    for result in found:
        by_stage[result.pipeline, result.stage].append(result)
    for of_stage in by_stage.values():
        for result in of_stage[keep:]:
            if not result.used and result.made < before:
                yield result


class DiskUsage:
    """Bytes of folders, a file that stands in several of them (a hard link) counted once."""

    def __init__(self) -> None:
        self._seen: set[tuple[int, int]] = set()

    def of(self, folder: Path) -> int:
        """What a folder takes beyond those that were asked about before."""
        total = 0
        for file in folder.rglob("*"):
            if file.is_symlink() or not file.is_file():
                continue
            about = file.stat()
            if (about.st_dev, about.st_ino) not in self._seen:
                self._seen.add((about.st_dev, about.st_ino))
                total += about.st_size
        return total


def _result(folder: Path, used: bool) -> Result:
    try:
        record = read_json(folder / RECORD / "run.json")
        made = float(record["started"]) + float(record["seconds"])
        return Result(folder, str(record["pipeline"]), str(record["stage"]), made, used)
    except (OSError, ValueError, KeyError, TypeError):
        return Result(folder, "?", "?", 0.0, used)
