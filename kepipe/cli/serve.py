"""`kepipe serve`: serve a model over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from kepipe.cli.options import WORKSPACE, HostOption, WorkspaceOption
from kepipe.terminal import echo

DAY = 86_400
"""Seconds of a day."""


def serve(
    model: Annotated[
        str,
        typer.Argument(
            help="A registered model (models:/NAME@champion; a moved alias is followed), or a model folder.",
            show_default=False,
        ),
    ],
    workspace: WorkspaceOption = WORKSPACE,
    port: Annotated[int, typer.Option(help="Port; 0: any free port.", min=0, max=65535)] = 8000,
    host: HostOption = "127.0.0.1",
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(help="A further host name that requests may use. May be repeated.", metavar="NAME"),
    ] = None,
    refresh: Annotated[
        float,
        typer.Option(help="Seconds between checks of the alias's version.", min=0.1, max=DAY),
    ] = 5.0,
    max_texts: Annotated[int, typer.Option(help="Maximum number of texts per request.", min=1)] = 256,
    max_bytes: Annotated[int, typer.Option(help="Maximum number of bytes per request.", min=1)] = 1_000_000,
    max_waiting: Annotated[
        int, typer.Option(help="Maximum number of queued texts; further requests get 503.", min=1)
    ] = 1024,
    timeout: Annotated[
        float, typer.Option(help="Seconds after which a request gets 504.", min=0.1, max=DAY)
    ] = 30.0,
) -> None:
    """Serve a model over HTTP with MLflow's protocol: POST /invocations; GET /health, /ready, /metrics, /version."""
    from kepipe.serving.app import Limits
    from kepipe.serving.server import LOOPBACK
    from kepipe.serving.server import serve as run

    if host not in LOOPBACK:
        echo(f"anyone who can reach {host}:{port} can use the model: there is no password", err=True)
    limits = Limits(max_texts, max_bytes, timeout, max_waiting)
    try:
        run(model, workspace.resolve(), host, port, limits, echo, refresh, allowed_host or ())
    except KeyboardInterrupt:
        echo("stopped")
