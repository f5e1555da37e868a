"""`kepipe dashboard`."""

from __future__ import annotations

from typing import Annotated

import typer

from kepipe.cli.options import WORKSPACE, WorkspaceOption
from kepipe.terminal import echo


def dashboard(
    workspace: WorkspaceOption = WORKSPACE,
    port: Annotated[int, typer.Option(help="Port on 127.0.0.1.", min=1, max=65535)] = 5000,
) -> None:
    """Show runs, curves and models in the browser: MLflow's pages on the workspace's store. Ctrl-C stops it."""
    from kepipe.tracking import dashboard as pages
    from kepipe.tracking.store import is_server, store_uri

    uri = store_uri(workspace)
    if is_server(uri):
        echo(f"runs are kept by the server {uri}: open it in the browser")
        return
    echo("MLflow starts …", err=True)
    server = pages.start(workspace.resolve(), port)
    echo(f"http://{pages.HOST}:{port}  shows {uri}; Ctrl-C stops it")
    try:
        server.wait()
    except KeyboardInterrupt:
        echo("stopped")
    finally:
        pages.stop(server)
