"""`kepipe schedule` and `kepipe scheduler`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kepipe.cli.options import WORKSPACE, PipelineArgument, SetOption, WorkspaceOption, with_groups
from kepipe.cli.schedule_options import (
    FailureOptions,
    NotificationOptions,
    TriggerOptions,
    scheduler_options,
)
from kepipe.terminal import echo

if TYPE_CHECKING:
    from datetime import datetime

    from kepipe.flow.history import Result
    from kepipe.flow.schedules import Entry

app = typer.Typer(help="Run pipelines at set times or when data has changed.", no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(help="Name of the schedule.", show_default=False)]


@with_groups
def add(
    pipeline: PipelineArgument,
    when: TriggerOptions,
    on_failure: FailureOptions,
    workspace: WorkspaceOption = WORKSPACE,
    set_: SetOption = None,
    name: Annotated[str, typer.Option(help="Name of the schedule, if not the pipeline's.")] = "",
) -> None:
    """Add a schedule, which runs a pipeline when its trigger fires. A schedule of the same name is replaced."""
    from kepipe import pipeline as pipelines
    from kepipe.flow import schedules
    from kepipe.flow.firing import SchedulerOptions
    from kepipe.flow.schedule import Schedule
    from kepipe.flow.scheduler import is_served
    from kepipe.pipeline.sources import sources

    flow, _ = pipelines.load(pipeline, set_ or [])
    schedule = Schedule(
        pipeline=str(pipeline),
        overrides=tuple(set_ or ()),
        when=when.trigger(),
        retries=on_failure.retries,
        backoff=on_failure.backoff,
        timeout=on_failure.timeout,
    )
    entry = schedules.add(workspace, name or flow.name, schedule, SchedulerOptions(sources))
    echo(_line(entry))
    if not is_served(workspace):
        echo("no scheduler is running; start it with `kepipe scheduler`")


app.command()(add)


@app.command("list")
def list_(workspace: WorkspaceOption = WORKSPACE) -> None:
    """List schedules: when they next fire or check, and the outcome of the last run."""
    from kepipe.flow import schedules
    from kepipe.flow.scheduler import is_served

    for entry in schedules.entries(workspace):
        echo(_line(entry))
    served = is_served(workspace)
    echo(
        "the scheduler is running" if served else "no scheduler is running; start it with `kepipe scheduler`"
    )


@app.command("next")
def next_(
    name: NameArgument,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=1000, help="How many.")] = 5,
    workspace: WorkspaceOption = WORKSPACE,
) -> None:
    """Show when a schedule fires next, in its own time zone."""
    from kepipe.flow import schedules

    entry = schedules.find(workspace, name)
    times = list(schedules.next_times(entry, 1 if entry.schedule.when.polls else count))
    for at in times:
        echo(f"{at:%a %Y-%m-%d %H:%M:%S %Z}" + ("  check" if entry.schedule.when.polls else ""))
    if not times:
        echo(f"{name} is paused" if entry.next is None else "it will not fire again")


@app.command()
def history(
    name: NameArgument,
    count: Annotated[int, typer.Option("--count", "-n", min=1, help="How many.")] = 20,
    workspace: WorkspaceOption = WORKSPACE,
) -> None:
    """Show the last runs of a schedule, newest first: outcome, duration, attempts, and what fired it."""
    from itertools import islice

    from kepipe.flow import schedules
    from kepipe.flow.history import results

    schedules.find(workspace, name)
    shown = list(islice(results(workspace, name), count))
    for result in shown:
        tries = f"{result.attempts} attempts" if result.attempts > 1 else ""
        echo(
            f"{_at(result)}  {result.outcome:<10}{result.seconds:>9.1f} s  {tries:<12}{result.reason}"
            + (f"  {result.log}" if result.outcome not in ("finished", "stopped") else "")
        )
    if not shown:
        echo(f"{name} has not run yet")


@app.command()
def pause(name: NameArgument, workspace: WorkspaceOption = WORKSPACE) -> None:
    """Stop firing a schedule until it is resumed. A run in progress is not stopped."""
    from kepipe.flow import schedules

    schedules.pause(workspace, name)
    echo(f"{name} is paused")


@app.command()
def resume(name: NameArgument, workspace: WorkspaceOption = WORKSPACE) -> None:
    """Resume a paused schedule."""
    from kepipe.flow import schedules

    echo(_line(schedules.resume(workspace, name)))


@app.command()
def remove(name: NameArgument, workspace: WorkspaceOption = WORKSPACE) -> None:
    """Remove a schedule."""
    from kepipe.flow import schedules

    schedules.remove(workspace, name)
    echo(f"{name} was removed")


@app.command("run-now")
def run_now(name: NameArgument, workspace: WorkspaceOption = WORKSPACE) -> None:
    """Run a schedule once, now, and wait for the result."""
    from kepipe.flow import schedules
    from kepipe.flow.firing import SchedulerOptions
    from kepipe.pipeline.sources import sources

    result = schedules.run_now(workspace, name, SchedulerOptions(sources))
    if result.outcome == "skipped":
        echo(f"{name}: a run of this pipeline is already in progress")
        raise typer.Exit(1)
    echo(f"{name} {result.outcome} after {result.seconds:.1f} s; see {result.log}")
    raise typer.Exit(0 if result.outcome == "finished" else 1)


@with_groups
def scheduler(
    notifications: NotificationOptions,
    workspace: WorkspaceOption = WORKSPACE,
    once: Annotated[
        bool,
        typer.Option(
            "--once", help="Fire what is due now and exit (for cron and CI); exit code 1 if a run failed."
        ),
    ] = False,
    at_once: Annotated[
        int, typer.Option(min=1, help="Maximum number of runs at a time, of all pipelines.")
    ] = 2,
) -> None:
    """Fire schedules when they are due, until Ctrl-C. One scheduler runs per workspace."""
    from kepipe.flow.scheduler import run_due_once, serve

    options = scheduler_options(workspace, notifications, at_once)
    if not once:
        serve(workspace, options)
        return
    results = run_due_once(workspace, options)
    if not results:
        echo("no schedule is due, and no source has changed")
    raise typer.Exit(any(result.outcome in ("failed", "timed out") for result in results))


def _line(entry: Entry) -> str:
    verb = "check" if entry.schedule.when.polls else "next"
    following = f"{verb} {_local(entry.next)}" if entry.next else "paused"
    last = "never fired" if entry.last is None else f"{entry.last.outcome} {_at(entry.last)}"
    return f"{entry.name:<16}{entry.schedule.when.label:<18}  {following}   last {last}   {entry.pipeline}"


def _local(at: datetime) -> str:
    return f"{at.astimezone():%Y-%m-%d %H:%M:%S}"


def _at(result: Result) -> str:
    from datetime import datetime

    return f"{datetime.fromtimestamp(result.started):%Y-%m-%d %H:%M:%S}"
