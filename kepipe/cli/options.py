"""Options that several commands share."""

from __future__ import annotations

import inspect
import os
import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

UMASK = "KEPIPE_UMASK"
"""Environment variable: who may not read what is written to a workspace, as `umask` has it; else all but its owner."""


def _keep_private(workspace: Path) -> Path:
    """Texts, graphs and models may be confidential: what this process writes, and those that it starts, is its
    user's alone."""
    mask = os.environ.get(UMASK) or "077"
    if not re.fullmatch("[0-7]{3,4}", mask):
        from kepipe.config import ConfigError

        raise ConfigError(f"{UMASK}={mask}: expected octal digits as `umask` takes them, such as 027")
    os.umask(int(mask, 8))
    return workspace


WorkspaceOption = Annotated[
    Path,
    typer.Option(
        "--workspace",
        "-w",
        envvar="KEPIPE_WORKSPACE",
        help="Folder for all that kepipe makes.",
        callback=_keep_private,
    ),
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


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """The command with an option for each field of those of its parameters that are dataclasses.

    Such a parameter is a group of options that several commands share; its fields are annotated as options are.
    """
    signature = inspect.signature(command, eval_str=True)
    groups: dict[str, type[Any]] = {
        name: parameter.annotation
        for name, parameter in signature.parameters.items()
        if isinstance(parameter.annotation, type) and is_dataclass(parameter.annotation)
    }
    options: list[inspect.Parameter] = []
    for name, parameter in signature.parameters.items():
        if name not in groups:
            options.append(parameter)
            continue
        hints = get_type_hints(groups[name], include_extras=True)
        options += [
            parameter.replace(name=field.name, default=field.default, annotation=hints[field.name])
            for field in fields(groups[name])
        ]

    @wraps(command)
    def run(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        command(**given)

    run.__signature__ = signature.replace(parameters=options)  # type: ignore[attr-defined]
    return run
