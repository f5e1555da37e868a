"""`kepipe bundle`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kepipe.cli.options import WORKSPACE, PipelineArgument, SetOption, WorkspaceOption
from kepipe.terminal import echo


def bundle(
    pipeline: PipelineArgument,
    out: Annotated[
        Path, typer.Argument(help="The archive to write: .tar, .tar.gz or .tar.xz.", show_default=False)
    ],
    set_: SetOption = None,
    wheels: Annotated[
        Path | None,
        typer.Option(
            help="Folder with wheels of the packages that kepipe needs.", exists=True, file_okay=False
        ),
    ] = None,
    download: Annotated[
        bool,
        typer.Option(
            "--download",
            help="Get wheels that are missing from pip's package index, and models from Hugging Face's hub.",
        ),
    ] = False,
    workspace: WorkspaceOption = WORKSPACE,
) -> None:
    """Pack a pipeline with all that it reads, kepipe, and the wheels that it needs into an archive whose script `run`
    runs it on a machine without network. What is left out is listed."""
    from kepipe.bundle.making import make_bundle

    made = make_bundle(pipeline, out, set_ or (), wheels, download, workspace)
    echo(f"{out}: {made.size / 1e6:.1f} MB, {made.inputs} files of the pipeline, {made.wheels} wheels")
    for what in made.left_out:
        echo(f"left out: {what}")
