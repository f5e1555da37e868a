"""`kepipe models`: what is registered, and which version is champion."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kepipe.cli.options import WORKSPACE, WorkspaceOption
from kepipe.terminal import echo, style

if TYPE_CHECKING:
    from kepipe.tracking.registry import Version
    from kepipe.tracking.store import Store

app = typer.Typer(help="Registered models: list, promote, roll back.", no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(help="Name of the registered model.", show_default=False)]


@app.command("list")
def list_(
    name: Annotated[str, typer.Argument(help="Only this model.", show_default=False)] = "",
    workspace: WorkspaceOption = WORKSPACE,
) -> None:
    """Show every version with its aliases and what the gate said."""
    from kepipe.tracking.registry import versions

    registered = versions(_store(workspace).client, name)
    if not registered:
        echo("no model is registered; a pipeline with the stage `register` does it")
    for version in registered:
        echo(*_line(version))


@app.command()
def promote(
    name: NameArgument,
    version: Annotated[int, typer.Argument(help="The version that becomes champion.", show_default=False)],
    workspace: WorkspaceOption = WORKSPACE,
) -> None:
    """Make a version champion, whatever the gate said."""
    from kepipe.tracking import registry

    registry.promote(_store(workspace), name, version)
    echo(f"{name} version {version} is champion")


@app.command()
def rollback(name: NameArgument, workspace: WorkspaceOption = WORKSPACE) -> None:
    """Make the version champion that was it before."""
    from kepipe.tracking import registry

    version = registry.rollback(_store(workspace), name)
    echo(f"{name} version {version} is champion again")


def _store(workspace: Path) -> Store:
    from kepipe.config import ConfigError
    from kepipe.tracking.store import StoreUnavailable, connect

    try:
        return connect(workspace.resolve())
    except StoreUnavailable as reason:
        raise ConfigError(f"the model registry cannot be reached: {reason}") from None


def _line(version: Version) -> tuple[str, ...]:
    from datetime import datetime

    at = f"{datetime.fromtimestamp(version.created):%Y-%m-%d %H:%M}"
    aliases = style(f"{' '.join(version.aliases):<22}", fg=typer.colors.GREEN)
    return (
        f"{version.model}  {version.version:>3}  {at}  ",
        aliases,
        f"  {version.tags.get('kepipe.gate.why', '')}",
    )
