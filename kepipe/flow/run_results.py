"""The stages of a run: by the run's journal, or the latest ones of a pipeline by its folder in a workspace."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kepipe.flow.events import RunStarted, StageCached, StageEnded
from kepipe.flow.journal import read
from kepipe.flow.lineage import StageResult
from kepipe.flow.plan import Workspace

Stages = Mapping[str, StageResult | str]
"""Stage → its result, or the digest of a result that is no longer in the store."""


def stages_of_run(run: str, workspace: Workspace) -> Stages | None:
    """The finished stages of a run, made or cached, in the order of their ends; None for a run that the workspace has
    no journal of. Raises ValueError for a run without finished stages."""
    journal = workspace.root / "tracking" / f"{run}.jsonl"
    if Path(run).name != run or not journal.is_file():
        return None
    found: dict[str, StageResult | str] = {}
    for entry in read(journal, on_bad=lambda _: None):
        match entry.event:
            case StageCached(stage=stage, folder=folder, digest=digest):
                found[stage] = _result(Path(folder), digest, workspace)
            case StageEnded(stage=stage, status="finished", folder=folder, digest=digest):
                found[stage] = _result(Path(folder), digest, workspace)
            case _:
                pass
    if not found:
        raise ValueError(f"run {run} has no finished stage")
    return found


def _result(folder: Path, digest: str, workspace: Workspace) -> StageResult | str:
    """The result in the workspace, which may have been moved since; its digest if it is gone, or was made again."""
    try:
        made = StageResult.open(workspace.store.folder(folder.name))
    except ValueError:
        return digest
    return made if made.digest == digest else digest


def stages_of_pipeline(folder: Path) -> Stages | None:
    """The latest artifacts of a pipeline, by the time at which they were made; None for a folder without any."""
    found: dict[str, StageResult] = {}
    for link in sorted(folder.iterdir()):
        if link.is_symlink() and link.is_dir():
            try:
                found[link.name] = StageResult.open(link)
            except ValueError:
                continue  # damaged: `kepipe cache verify` reports it
    return dict(sorted(found.items(), key=lambda item: float(item[1].record.get("started", 0.0)))) or None


def runs(workspace: Workspace) -> dict[str, RunStarted]:
    """The workspace's runs by id, with their first events, oldest first."""
    found = {}
    for journal in (workspace.root / "tracking").glob("*.jsonl"):
        first = next((entry.event for entry in read(journal, on_bad=lambda _: None)), None)
        if isinstance(first, RunStarted):
            found[journal.stem] = first
    return dict(sorted(found.items(), key=lambda item: item[1].at))
