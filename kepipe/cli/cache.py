"""`kepipe cache`: the store of finished stages."""

from __future__ import annotations

from typing import Annotated

import typer

from kepipe.cli.options import WORKSPACE, WorkspaceOption
from kepipe.terminal import echo

app = typer.Typer(help="List, verify and clear finished stages.", no_args_is_help=True)


@app.command("list")
def list_(workspace: WorkspaceOption = WORKSPACE) -> None:
    """List the finished stages: key, kind, size, the run that made it."""
    from kepipe.flow.plan import Workspace

    for folder, manifest in Workspace(workspace.resolve()).store.entries():
        size = sum(entry["size"] for entry in manifest["files"].values())
        kind, maker = manifest["cache_key_inputs"]["stage"], manifest["maker"]
        echo(f"{folder.name}  {kind:<10} {size / 1e6:>9.1f} MB  {maker}")


@app.command()
def verify(workspace: WorkspaceOption = WORKSPACE) -> None:
    """Digest every file again and name those that are damaged; a damaged stage is made again by the next run."""
    from kepipe.flow.plan import Workspace

    store = Workspace(workspace.resolve()).store
    damaged = 0
    for folder in store.finished():
        if (damage := store.damage(folder.name, thorough=True)) is not None:
            damaged += 1
            echo(str(damage), err=True)
            store.set_aside(folder.name, lambda _: None, thorough=True)
    echo(f"{damaged} damaged" if damaged else "all fine")
    raise typer.Exit(1 if damaged else 0)


@app.command()
def clear(
    workspace: WorkspaceOption = WORKSPACE,
    unfinished: Annotated[
        bool, typer.Option("--unfinished", help="Also what interrupted runs left: they start anew.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--everything", help="All of it, also what the newest runs use.")
    ] = False,
) -> None:
    """Remove results that no pipeline's newest run uses, and damaged ones that were set aside."""
    from kepipe.flow.plan import Workspace
    from kepipe.flow.store import size

    place = Workspace(workspace.resolve())
    store, used = place.store, set() if everything else place.in_use()
    unwanted = [folder for folder in store.finished() if folder.resolve() not in used] + store.damaged()
    if unfinished or everything:
        unwanted += store.unfinished()
    freed = [store.remove(folder) for folder in unwanted]
    echo(f"freed {sum(filter(None, freed)) / 1e6:.1f} MB")
    if None in freed:
        echo(f"{freed.count(None)} left: runs that go on use them")
    if kept := store.unfinished():
        held = sum(map(size, kept)) / 1e6
        echo(f"{held:.1f} MB are those of {len(kept)} unfinished stages; `--unfinished` removes them too")
