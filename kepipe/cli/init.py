"""`kepipe init`: a folder to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def init(
    folder: Annotated[Path, typer.Argument(help="Folder to lay it in.", show_default=False)],
    pipeline: Annotated[
        str, typer.Option("--from", help="Which of those that `kepipe config list` names.")
    ] = "example",
) -> None:
    """Copy a pipeline that comes with kepipe, to change it: the example brings a small graph and texts."""
    from kepipe.pipeline.shipped import copy, summary

    file = copy(pipeline, folder)
    typer.echo(f"{file}: {summary(file)}")
    typer.echo(f"  run it             kepipe run {file}")
    typer.echo(f"  see its settings   kepipe config show {file}")
    typer.echo(f"  check your changes kepipe config check {file}")
