"""Options shared by several commands."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from kepipe.api.privacy import umask
from kepipe.api.running import STORE_VARIABLE, WORKERS_VARIABLE, WORKSPACE, WORKSPACE_VARIABLE

__all__ = [
    "WORKSPACE",
    "HostOption",
    "PipelineArgument",
    "PipelineArguments",
    "ProfileOption",
    "SetOption",
    "StoreOption",
    "WorkersOption",
    "WorkspaceOption",
    "with_groups",
    "with_profile",
]


def _keep_private(workspace: Path) -> Path:
    """Set the umask, so that only the user can read files that this process and its children write."""
    os.umask(umask())
    return workspace


WorkspaceOption = Annotated[
    Path,
    typer.Option(
        "--workspace",
        "-w",
        envvar=WORKSPACE_VARIABLE,
        help="Folder for everything that kepipe writes.",
        callback=_keep_private,
    ),
]


StoreOption = Annotated[
    str,
    typer.Option(
        "--store",
        envvar=STORE_VARIABLE,
        metavar="URL",
        help="Results that several workspaces share, in a folder or a bucket (s3://…): what is there is not computed "
        "again, and what is computed is copied there.",
    ),
]


WorkersOption = Annotated[
    str,
    typer.Option(
        "--workers",
        envvar=WORKERS_VARIABLE,
        metavar="N|dask",
        help="Processes of the stages that work on a corpus chunk by chunk (`link`, `shards`), whatever the pipeline "
        "says: their number, -1 for one per processor, or `dask` for the cluster of DASK_SCHEDULER_ADDRESS. The "
        "results do not depend on it.",
    ),
]


def _find_pipeline(pipeline: Path) -> Path:
    from kepipe.pipeline.shipped import find

    return find(pipeline)


PipelineArgument = Annotated[
    Path,
    typer.Argument(
        help="A pipeline's YAML file, or the name of an included pipeline.",
        show_default=False,
        callback=_find_pipeline,
    ),
]
PipelineArguments = Annotated[
    list[Path],
    typer.Argument(
        help="Pipelines' YAML files, or names of included pipelines.",
        show_default=False,
        callback=lambda pipelines: [_find_pipeline(pipeline) for pipeline in pipelines],
    ),
]
HostOption = Annotated[
    str,
    typer.Option(
        help="Address to listen on. 0.0.0.0 lets other machines connect; there is no password.",
        metavar="ADDRESS",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a setting: stages.pretrain.steps=50. May be repeated."),
]
ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile",
        help="Settings for another machine that the pipeline file names under `profiles`, such as gpu.",
    ),
]


def with_profile(assignments: list[str] | None, profile: str | None) -> list[str]:
    """The assignments of `--set`, and that of `--profile`."""
    return [*(assignments or ()), *(() if profile is None else (f"profile={profile}",))]


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Expand each dataclass parameter of a command to one option per field.

    Such a parameter is a group of options that several commands share; its fields are annotated like options.
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
