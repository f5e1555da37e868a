"""`kepipe dashboard`."""

from __future__ import annotations

from typing import Annotated

import typer

from kepipe.cli.options import WORKSPACE, HostOption, WorkspaceOption
from kepipe.terminal import echo


def dashboard(
    workspace: WorkspaceOption = WORKSPACE,
    port: Annotated[int, typer.Option(help="Port of the pages.", min=1, max=65535)] = 5000,
    host: HostOption = "127.0.0.1",
) -> None:
    """Open MLflow's UI on the workspace's store: runs, curves, models. Ctrl-C stops it."""
    from kepipe.tracking import dashboard as pages
    from kepipe.tracking.store import connect, is_server, store_uri

    uri = store_uri(workspace)
    if is_server(uri):
        echo(f"runs are stored on the server {uri}: open it in the browser")
        return
    echo("starting MLflow …", err=True)
    if host != pages.HOST:
        echo(
            f"anyone who can reach {host}:{port} can read and change runs and models: there is no password",
            err=True,
        )
    server = pages.start(workspace.resolve(), port, host)
    address = f"http://{host}:{port}"
    try:
        echo(f"{address}  showing {uri}; Ctrl-C stops it")
        for what, page in pages.pages(connect(workspace.resolve()), address):
            echo(f"{what}: {page}")
        server.wait()
    except KeyboardInterrupt:
        echo("stopped")
    finally:
        pages.stop(server)
