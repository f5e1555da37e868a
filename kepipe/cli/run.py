"""`kepipe run` and `kepipe plan`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kepipe.cli.options import (
    WORKSPACE,
    PipelineArgument,
    ProfileOption,
    SetOption,
    StoreOption,
    WorkersOption,
    WorkspaceOption,
    with_profile,
)
from kepipe.terminal import echo

if TYPE_CHECKING:
    from kepipe.api.result import RunResult

UntilOption = Annotated[str | None, typer.Option(help="Run this stage and the stages it depends on.")]
OnlyOption = Annotated[
    list[str] | None,
    typer.Option(help="Run only this stage; the stages it depends on must be cached. May be repeated."),
]
ForceOption = Annotated[
    list[str] | None,
    typer.Option(
        help="Run this stage again even if it is cached (an interrupted attempt is resumed). May be repeated."
    ),
]


def run(
    pipeline: PipelineArgument,
    workspace: WorkspaceOption = WORKSPACE,
    set_: SetOption = None,
    until: UntilOption = None,
    only: OnlyOption = None,
    force: ForceOption = None,
    store: StoreOption = "",
    profile: ProfileOption = None,
    workers: WorkersOption = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and stop.")] = False,
    log_json: Annotated[bool, typer.Option("--log-json", help="Print events as JSON lines.")] = False,
) -> None:
    """Run a pipeline. Cached stages are skipped; an interrupted stage resumes from its last checkpoint."""
    from kepipe.api.running import run_pipeline
    from kepipe.console.run import open_console
    from kepipe.flow.plan import Workspace
    from kepipe.flow.runner import StageSelection

    if dry_run:
        plan(pipeline, workspace, set_, until, only, force, store, profile)
        return
    with open_console(log_json) as console:
        result = run_pipeline(
            pipeline,
            Workspace(workspace.resolve(), store),
            with_profile(set_, profile),
            StageSelection(until, only or (), force or ()),
            console,
            workers=workers,
        )
    if not log_json:
        _print_locations(result, workspace)


def plan(
    pipeline: PipelineArgument,
    workspace: WorkspaceOption = WORKSPACE,
    set_: SetOption = None,
    until: UntilOption = None,
    only: OnlyOption = None,
    force: ForceOption = None,
    store: StoreOption = "",
    profile: ProfileOption = None,
) -> None:
    """Show what a run would do and why: each stage is cached, resumable or to run."""
    from kepipe import pipeline as pipelines
    from kepipe.cli.plan import lines
    from kepipe.flow.plan import Workspace, make_plan
    from kepipe.flow.runner import StageSelection

    flow, _ = pipelines.load(pipeline, with_profile(set_, profile))
    selected = {node.name for node in StageSelection(until, only or (), force or ()).select(flow)}
    steps = make_plan(
        flow, Workspace(workspace.resolve(), store), force or (), warn=lambda text: echo(text, err=True)
    )
    shown = [step for step in steps if step.node.name in selected and (not only or step.node.name in only)]
    for line in lines(shown):
        echo(*line)


def _print_locations(result: RunResult, workspace: Path) -> None:
    """Print the paths of the results; a study's copies are left out, since its page links to them."""
    files = {"report": "report.html", "model": "model.safetensors"}
    lines = []
    for title, file in files.items():
        lines += [
            f"  {title:<10} {workspace / result.pipeline / name}/{file if title == 'report' else ''}"
            for name, folder in result.folders.items()
            if name not in result.copies and (folder / file).exists()
        ]
    flag = "" if workspace == WORKSPACE else f" --workspace {workspace}"
    lines.append(f"  {'dashboard':<10} kepipe dashboard{flag}")
    echo("\n".join(lines))
