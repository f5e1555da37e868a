"""`kepipe run` and `kepipe plan`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kepipe.cli.options import WORKSPACE, PipelineArgument, SetOption, WorkspaceOption
from kepipe.terminal import echo

if TYPE_CHECKING:
    from kepipe.flow.artifact import Artifact
    from kepipe.flow.plan import Flow, Workspace

UntilOption = Annotated[str | None, typer.Option(help="Run up to this stage, included.")]
OnlyOption = Annotated[
    str | None, typer.Option(help="Run this stage alone; those that it needs must be made.")
]
ForceOption = Annotated[
    list[str] | None,
    typer.Option(help="Run this stage again although it is cached; an interrupted attempt at it continues."),
]


def run(
    pipeline: PipelineArgument,
    workspace: WorkspaceOption = WORKSPACE,
    set_: SetOption = None,
    until: UntilOption = None,
    only: OnlyOption = None,
    force: ForceOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    log_json: Annotated[bool, typer.Option("--log-json", help="Print events as JSON lines.")] = False,
) -> None:
    """Run a pipeline. What is cached is not done again; what was interrupted continues."""
    if dry_run:
        plan(pipeline, workspace, set_, until, only, force)
        return
    from kepipe import pipeline as pipelines
    from kepipe.cli.console import open_console
    from kepipe.device import resolve
    from kepipe.flow.plan import Workspace
    from kepipe.flow.runner import Run, StageSelection
    from kepipe.provenance import run_tags
    from kepipe.tracking import track

    flow, settings = pipelines.load(pipeline, set_ or [])
    place = Workspace(workspace.resolve())
    place.make()
    with open_console(log_json) as console, track(place.root) as tracker:
        job = Run(
            flow,
            place,
            StageSelection(until, only, force or ()),
            [console, tracker],
            device=lambda: resolve(flow.device),
            config=settings,
            tags=run_tags(pipeline, flow.seed),
        )
        artifacts = job.execute()
    if not log_json:
        _point_out(flow, place, artifacts, workspace)


def plan(
    pipeline: PipelineArgument,
    workspace: WorkspaceOption = WORKSPACE,
    set_: SetOption = None,
    until: UntilOption = None,
    only: OnlyOption = None,
    force: ForceOption = None,
) -> None:
    """Show what a run would do, and why: cached, resumable or to run."""
    from kepipe import pipeline as pipelines
    from kepipe.cli.plan import lines
    from kepipe.flow.plan import Workspace, make_plan
    from kepipe.flow.runner import StageSelection

    flow, _ = pipelines.load(pipeline, set_ or [])
    selected = {node.name for node in StageSelection(until, only, force or ()).select(flow)}
    steps = make_plan(
        flow, Workspace(workspace.resolve()), force or (), warn=lambda text: echo(text, err=True)
    )
    shown = [step for step in steps if step.node.name in selected and only in (None, step.node.name)]
    for line in lines(shown):
        echo(*line)


def _point_out(flow: Flow, place: Workspace, artifacts: dict[str, Artifact], workspace: Path) -> None:
    """Say where the results are; the many copies of a study's stages are found by way of its page."""
    files = {"report": "report.html", "model": "model.safetensors"}
    copies = {node.name for node in flow.nodes if node.labels}
    lines = []
    for title, file in files.items():
        results = [
            name
            for name in artifacts
            if name not in copies and (place.latest(flow.name, name) / file).exists()
        ]
        lines += [
            f"  {title:<10} {workspace / flow.name / name}/{file if title == 'report' else ''}"
            for name in results
        ]
    flag = "" if workspace == WORKSPACE else f" --workspace {workspace}"
    lines.append(f"  {'dashboard':<10} kepipe dashboard{flag}")
    echo("\n".join(lines))
