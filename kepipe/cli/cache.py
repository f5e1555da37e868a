"""`kepipe cache`: list, verify and remove finished stages."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Annotated

import typer

from kepipe.cli.options import WORKSPACE, PipelineArgument, SetOption, StoreOption, WorkspaceOption
from kepipe.terminal import echo

if TYPE_CHECKING:
    from kepipe.flow.shared_store import SharedStore

app = typer.Typer(help="List, verify and clear finished stages.", no_args_is_help=True)


ARTIFACTS = "mlartifacts"
"""Folder of a workspace in which MLflow keeps reports and registered models."""


@app.command("list")
def list_(workspace: WorkspaceOption = WORKSPACE) -> None:
    """List the finished stages by pipeline: key, stage, size, when they were made, and whether the latest run uses
    them; then the size of MLflow's files, and the total."""
    from kepipe.flow.plan import Workspace
    from kepipe.flow.usage import DiskUsage, results

    place, usage, total, pipeline = Workspace(workspace.resolve()), DiskUsage(), 0, None
    for result in results(place):
        if result.pipeline != pipeline:
            pipeline = result.pipeline
            echo(pipeline)
        size = usage.of(result.folder)
        total += size
        made = time.strftime("%Y-%m-%d %H:%M", time.localtime(result.made)) if result.made else ""
        mark = "" if result.used else "  not used by the latest run"
        echo(f"  {result.folder.name}  {result.stage:<20} {_megabytes(size)}  {made}{mark}")
    if kept := usage.of(place.root / ARTIFACTS):
        total += kept
        echo(f"{ARTIFACTS}, files of MLflow alone: {_megabytes(kept).strip()}")
    if kept := usage.of(place.store.root / "memo"):
        total += kept
        echo(f"cached annotations, links and tokens: {_megabytes(kept).strip()}")
    echo(f"total {_megabytes(total).strip()}")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:>9.1f} MB"


@app.command()
def prune(
    workspace: WorkspaceOption = WORKSPACE,
    keep: Annotated[int, typer.Option(min=0, help="Number of newest results of each stage to keep.")] = 1,
    older: Annotated[
        str, typer.Option(help="Remove only results older than this: 30d, 12h.", metavar="TIME")
    ] = "0d",
    store: Annotated[
        str, typer.Option("--store", metavar="URL", help="Remove results from this shared store instead.")
    ] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be removed, and stop.")] = False,
) -> None:
    """Remove old results; with `--older`, also cached annotations, links and tokens that no run has used since. Results
    of a pipeline's latest run are always kept.

    With `--store`, results that were copied to that shared store earlier than `--older` are removed.
    """
    from kepipe.flow.plan import Workspace
    from kepipe.flow.usage import DiskUsage, outdated, results

    place, usage, freed, in_use = Workspace(workspace.resolve()), DiskUsage(), 0, 0
    before = time.time() - _seconds(older)
    if store:
        freed = _shared(store).prune(before, dry_run=dry_run)
        echo(f"{store}: {'would free' if dry_run else 'freed'} {freed / 1e6:.1f} MB")
        return
    if older != "0d":
        freed += place.store.forget_memos(before, dry_run=dry_run)
    for result in outdated(results(place), keep, before):
        size = usage.of(result.folder)
        removed = size if dry_run else place.store.remove(result.folder)
        if removed is None:
            in_use += 1
            continue
        freed += removed
        echo(f"{result.folder.name}  {result.pipeline}, {result.stage}  {_megabytes(size).strip()}")
    echo(f"{'would free' if dry_run else 'freed'} {freed / 1e6:.1f} MB")
    if in_use:
        echo(f"{in_use} kept: in use by running pipelines")


def _seconds(length: str) -> float:
    """`30d`, or a duration of `kepipe.config.duration`, in seconds. Raises BadParameter."""
    from kepipe.config.duration import seconds

    if re.fullmatch(r"\d+d", length):
        return 86400.0 * int(length[:-1])
    try:
        return float(seconds(length))
    except ValueError as reason:
        raise typer.BadParameter(f"--older {length}: {reason}, or 30d") from None


@app.command()
def push(workspace: WorkspaceOption = WORKSPACE, store: StoreOption = "") -> None:
    """Copy all results of the workspace to the shared store, except those that it already has."""
    from kepipe.flow.plan import Workspace

    shared, place = _shared(store), Workspace(workspace.resolve())
    sent = [shared.push(folder) for folder in place.store.finished()]
    echo(f"{store}: {sum(map(bool, sent))} of {len(sent)} results copied, {sum(sent) / 1e6:.1f} MB")


@app.command()
def pull(
    pipeline: PipelineArgument,
    workspace: WorkspaceOption = WORKSPACE,
    store: StoreOption = "",
    set_: SetOption = None,
) -> None:
    """Copy a pipeline's results from the shared store, as far as it has them, without computing anything."""
    from kepipe import pipeline as pipelines
    from kepipe.flow.plan import Workspace, pull_results

    _shared(store)
    flow, _ = pipelines.load(pipeline, set_ or [])
    place = Workspace(workspace.resolve(), store)
    place.make()
    copied = pull_results(flow, place, warn=lambda text: echo(f"warning: {text}", err=True))
    echo(f"{len(copied)} of {len(flow.nodes)} results copied: {', '.join(copied) or 'none'}")


def _shared(url: str) -> SharedStore:
    """The store of `--store`. Raises BadParameter without one."""
    from kepipe.flow.shared_store import SharedStore

    if not url:
        raise typer.BadParameter("missing: a folder, or s3://bucket/path", param_hint="--store")
    return SharedStore(url)


@app.command()
def verify(workspace: WorkspaceOption = WORKSPACE) -> None:
    """Check the digest of every file. Damaged results are reported and moved aside; the next run makes them again."""
    from kepipe.flow.plan import Workspace

    store = Workspace(workspace.resolve()).store
    damaged = 0
    for folder in store.finished():
        if (damage := store.damage(folder.name, thorough=True)) is not None:
            damaged += 1
            told: list[str] = []  # none where another process holds the result
            store.set_aside(folder.name, told.append, thorough=True)
            echo(told[0] if told else str(damage), err=True)
    echo(f"{damaged} damaged" if damaged else "no damage found")
    raise typer.Exit(1 if damaged else 0)


@app.command()
def clear(
    workspace: WorkspaceOption = WORKSPACE,
    unfinished: Annotated[
        bool,
        typer.Option(
            "--unfinished", help="Also the checkpoints of interrupted stages, which then start from scratch."
        ),
    ] = False,
    everything: Annotated[
        bool, typer.Option("--everything", help="Remove everything, including results of the latest runs.")
    ] = False,
) -> None:
    """Remove results that no pipeline's latest run uses, and damaged ones that were moved aside."""
    from kepipe.flow.plan import Workspace
    from kepipe.flow.store import size

    place = Workspace(workspace.resolve())
    store, used = place.store, set() if everything else place.in_use()
    unwanted = [folder for folder in store.finished() if folder.resolve() not in used] + store.damaged()
    if unfinished or everything:
        unwanted += store.unfinished()
    freed = [store.remove(folder) for folder in unwanted]
    if everything:
        freed.append(store.forget_memos(time.time()))
    echo(f"freed {sum(filter(None, freed)) / 1e6:.1f} MB")
    if None in freed:
        echo(f"{freed.count(None)} kept: in use by running pipelines")
    if kept := store.unfinished():
        held = sum(map(size, kept)) / 1e6
        echo(f"{len(kept)} unfinished stages with {held:.1f} MB were kept; `--unfinished` removes them too")
