"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

WorkspaceOption = Annotated[
    Path,
    typer.Option("--workspace", "-w", envvar="KEPIPE_WORKSPACE", help="Folder for all that kepipe makes."),
]
WORKSPACE = Path("workspace")
PipelineArgument = Annotated[Path, typer.Argument(help="The pipeline's YAML file.", show_default=False)]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a setting: stages.pretrain.steps=50. May be repeated."),
]
