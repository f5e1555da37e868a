"""`kepipe cache`: the store of finished stages."""

from __future__ import annotations

import shutil
from typing import Annotated

import typer

from kepipe.cli.options import WORKSPACE, WorkspaceOption

app = typer.Typer(help="List, verify and clear finished stages.", no_args_is_help=True)


@app.command("list")
def list_(workspace: WorkspaceOption = WORKSPACE) -> None:
    """List the finished stages: key, kind, size, the run that made it."""
    from kepipe.flow.plan import Workspace

    for folder, manifest in Workspace(workspace.resolve()).store.entries():
        size = sum(entry["size"] for entry in manifest["files"].values())
        kind, maker = manifest["ingredients"]["stage"], manifest["maker"]
        typer.echo(f"{folder.name}  {kind:<10} {size / 1e6:>9.1f} MB  {maker}")


@app.command()
def verify(workspace: WorkspaceOption = WORKSPACE) -> None:
    """Digest every file again and name those that are damaged; a damaged stage is made again by the next run."""
    from kepipe.flow.artifact import CorruptArtifact
    from kepipe.flow.artifact import verify as verify_folder
    from kepipe.flow.plan import Workspace

    store = Workspace(workspace.resolve()).store
    damaged = 0
    for folder in sorted((store.root / "done").glob("*")):
        try:
            verify_folder(folder, thorough=True)
        except CorruptArtifact as damage:
            damaged += 1
            typer.echo(str(damage), err=True)
            store.set_aside(folder)
    typer.echo(f"{damaged} damaged" if damaged else "all fine")
    raise typer.Exit(1 if damaged else 0)


@app.command()
def clear(
    workspace: WorkspaceOption = WORKSPACE,
    everything: Annotated[bool, typer.Option(help="Also what the newest runs use.")] = False,
) -> None:
    """Remove artifacts that no pipeline's newest run points to."""
    from kepipe.flow.plan import Workspace

    place = Workspace(workspace.resolve())
    used = set() if everything else {link.resolve() for link in place.root.glob("*/*") if link.is_symlink()}
    freed = 0
    for folder, manifest in place.store.entries():
        if folder.resolve() not in used:
            freed += sum(entry["size"] for entry in manifest["files"].values())
            shutil.rmtree(folder)
    typer.echo(f"freed {freed / 1e6:.1f} MB")
