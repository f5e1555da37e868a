"""`kepipe init`: start a project."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kepipe.terminal import echo


def init(
    folder: Annotated[Path, typer.Argument(help="Folder to create.", show_default=False)],
    pipeline: Annotated[
        str, typer.Option("--from", help="The pipeline to copy, one of `kepipe config list`.")
    ] = "example",
) -> None:
    """Start a project from a copy of an included pipeline. The default includes a small graph and texts."""
    from kepipe.pipeline.shipped import copy, summary

    file = copy(pipeline, folder)
    echo(f"{file}: {summary(file)}")
    echo(f"  run it             kepipe run {file}")
    echo(f"  see its settings   kepipe config show {file}")
    echo(f"  check your changes kepipe config check {file}")
