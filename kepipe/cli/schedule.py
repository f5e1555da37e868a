"""`kepipe schedule` and `kepipe scheduler`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kepipe.cli.options import WORKSPACE, PipelineArgument, SetOption, WorkspaceOption
from kepipe.terminal import echo

if TYPE_CHECKING:
    from kepipe.flow.schedules import Entry

app = typer.Typer(help="Run pipelines at set times.", no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(help="Name of the schedule.", show_default=False)]
CronOption = Annotated[
    str, typer.Option(help='When: "0 2 * * *" is every night at two; six fields begin with seconds; @daily.')
]


@app.command()
def add(
    pipeline: PipelineArgument,
    cron: CronOption,
    workspace: WorkspaceOption = WORKSPACE,
    set_: SetOption = None,
    name: Annotated[str, typer.Option(help="Name of the schedule, if not the pipeline's.")] = "",
) -> None:
    """Run a pipeline at set times; a schedule of the same name is replaced."""
    from kepipe import pipeline as pipelines
    from kepipe.flow import schedules

    flow, _ = pipelines.load(pipeline, set_ or [])
    entry = schedules.add(workspace, pipeline, cron, set_ or (), name or flow.name)
    echo(_line(entry))
    if not schedules.is_served(workspace):
        echo("no scheduler runs yet; `kepipe scheduler` starts it")


@app.command("list")
def list_(workspace: WorkspaceOption = WORKSPACE) -> None:
    """Show schedules: when they fire next, and how the last firing went."""
    from kepipe.flow import schedules

    for entry in schedules.entries(workspace):
        echo(_line(entry))
    served = schedules.is_served(workspace)
    echo("the scheduler runs" if served else "no scheduler runs; `kepipe scheduler` starts it")


@app.command()
def remove(name: NameArgument, workspace: WorkspaceOption = WORKSPACE) -> None:
    """Forget a schedule."""
    from kepipe.flow import schedules

    schedules.remove(workspace, name)
    echo(f"{name} is not scheduled any more")


@app.command("run-now")
def run_now(name: NameArgument, workspace: WorkspaceOption = WORKSPACE) -> None:
    """Fire a schedule once, now, and wait for it."""
    from kepipe.flow import schedules

    result = schedules.run_now(workspace, name)
    if result.outcome == "skipped":
        echo(f"{name} is at work already")
        raise typer.Exit(1)
    echo(f"{name} {result.outcome} after {result.seconds:.1f} s; see {result.log}")
    raise typer.Exit(0 if result.outcome == "finished" else 1)


def scheduler(workspace: WorkspaceOption = WORKSPACE) -> None:
    """Fire schedules when they are due, until Ctrl-C; the one process of a workspace that does so."""
    from kepipe.flow import schedules

    schedules.serve(workspace, echo)


def _line(entry: Entry) -> str:
    from datetime import datetime

    following = f"{entry.next:%Y-%m-%d %H:%M:%S}" if entry.next else "never again"
    last = "never fired"
    if entry.last is not None:
        last = f"{entry.last.outcome} {datetime.fromtimestamp(entry.last.started):%Y-%m-%d %H:%M:%S}"
    return f"{entry.name:<16}{entry.cron:<18}next {following}   last {last}   {entry.pipeline}"
