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


def _find_pipeline(pipeline: Path) -> Path:
    from kepipe.pipeline.shipped import find

    return find(pipeline)


PipelineArgument = Annotated[
    Path,
    typer.Argument(
        help="The pipeline's YAML file, or the name of one that comes with kepipe.",
        show_default=False,
        callback=_find_pipeline,
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a setting: stages.pretrain.steps=50. May be repeated."),
]
