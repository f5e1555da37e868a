"""`kepipe track`: deliver runs to MLflow, and show the state of delivery."""

from __future__ import annotations

from typing import Annotated

import typer

from kepipe.cli.options import WORKSPACE, WorkspaceOption
from kepipe.terminal import echo

app = typer.Typer(help="Delivery of runs to MLflow.", no_args_is_help=True)


@app.command()
def sync(
    workspace: WorkspaceOption = WORKSPACE,
    again: Annotated[
        bool, typer.Option("--all", help="Deliver all runs again, for example to a new store.")
    ] = False,
) -> None:
    """Deliver pending runs, oldest first, or wait until their own processes have. Nothing is delivered twice."""
    from kepipe.stages.champion import evaluate_pair
    from kepipe.tracking.cursor import Cursor, forget_cursors, journals
    from kepipe.tracking.delivery import deliver_pending
    from kepipe.tracking.store import StoreUnavailable, connect
    from kepipe.tracking.tracker import delivery_messages

    if again:
        forget_cursors(workspace)
    try:
        delivered = deliver_pending(workspace, connect(workspace), evaluate_pair, wait=True)
    except StoreUnavailable as reason:
        echo(f"kepipe: not delivered: {reason}", err=True)
        raise typer.Exit(1) from None
    for run, cursor in delivered.items():
        echo(f"{run}  {'delivered' if cursor.done else 'in progress'}")
        for line in delivery_messages(cursor):
            echo(f"  {line}")
    running = [each.stem for each in journals(workspace) if not Cursor.load(each).done]
    for run in filter(lambda run: run not in delivered, running):
        echo(f"{run}  in progress, delivered by its own process")
    if not delivered and not running:
        echo("up to date: no pending runs")


@app.command()
def status(workspace: WorkspaceOption = WORKSPACE) -> None:
    """List runs with the delivered share of each."""
    from kepipe.flow.journal import is_written
    from kepipe.tracking.cursor import Cursor, journals
    from kepipe.tracking.store import store_uri
    from kepipe.tracking.tracker import delivery_messages

    echo(f"store: {store_uri(workspace)}")
    for journal in journals(workspace):
        cursor = Cursor.load(journal)
        share = 100 * cursor.sent / max(journal.stat().st_size, 1)
        state = (
            "delivered"
            if cursor.done
            else f"{share:.0f}% delivered{', running' if is_written(journal) else ''}"
        )
        echo(f"{journal.stem}  {state}")
        for line in delivery_messages(cursor):
            echo(f"  {line}")


@app.command(hidden=True)
def follow(workspace: WorkspaceOption, run: str) -> None:
    """Deliver a run while it is in progress. Started by runs themselves."""
    from kepipe.stages.champion import evaluate_pair
    from kepipe.tracking import delivery_worker

    delivery_worker.deliver_run(workspace, run, evaluate_pair)
