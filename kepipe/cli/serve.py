"""`kepipe serve`: a model answers over HTTP."""

from __future__ import annotations

from typing import Annotated

import typer

from kepipe.cli.options import WORKSPACE, HostOption, WorkspaceOption
from kepipe.terminal import echo


def serve(
    model: Annotated[
        str,
        typer.Argument(
            help="models:/NAME@champion, followed as the alias moves; or a model folder: workspace/…/finetune.",
            show_default=False,
        ),
    ],
    workspace: WorkspaceOption = WORKSPACE,
    port: Annotated[int, typer.Option(help="Port; 0: a free one.", min=0, max=65535)] = 8000,
    host: HostOption = "127.0.0.1",
    allowed_host: Annotated[
        list[str] | None,
        typer.Option(help="A further name by which other machines call this one.", metavar="NAME"),
    ] = None,
    refresh: Annotated[
        float, typer.Option(help="Seconds between two looks where the alias points.", min=0.1)
    ] = 5.0,
    max_texts: Annotated[int, typer.Option(help="Texts of one request.", min=1)] = 256,
    max_bytes: Annotated[int, typer.Option(help="Bytes of one request.", min=1)] = 1_000_000,
    max_waiting: Annotated[
        int, typer.Option(help="Texts of all requests that may wait; more are told to come again.", min=1)
    ] = 1024,
    timeout: Annotated[
        float, typer.Option(help="Seconds from a request's first byte until it is given up.", min=0.1)
    ] = 30.0,
) -> None:
    """Answer over HTTP by MLflow's protocol: POST /invocations, and GET /health, /ready, /metrics, /version."""
    from kepipe.serving.app import Limits
    from kepipe.serving.server import HERE
    from kepipe.serving.server import serve as run

    if host not in HERE:
        echo(f"whoever reaches {host}:{port} can ask the model: there is no password", err=True)
    limits = Limits(max_texts, max_bytes, timeout, max_waiting)
    try:
        run(model, workspace.resolve(), host, port, limits, echo, refresh, allowed_host or ())
    except KeyboardInterrupt:
        echo("stopped")
