"""`kepipe init`: a folder to start from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kepipe.terminal import echo


def init(
    folder: Annotated[Path, typer.Argument(help="Folder to lay it in.", show_default=False)],
    pipeline: Annotated[
        str, typer.Option("--from", help="Which of those that `kepipe config list` names.")
    ] = "example",
) -> None:
    """Copy a pipeline that comes with kepipe, to change it: the example brings a small graph and texts."""
    from kepipe.pipeline.shipped import copy, summary

    file = copy(pipeline, folder)
    echo(f"{file}: {summary(file)}")
    echo(f"  run it             kepipe run {file}")
    echo(f"  see its settings   kepipe config show {file}")
    echo(f"  check your changes kepipe config check {file}")
