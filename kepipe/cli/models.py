"""`kepipe models`: registered models and their champions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kepipe.cli.options import WORKSPACE, WorkspaceOption
from kepipe.terminal import echo, style

if TYPE_CHECKING:
    from kepipe.studies.intervals import Estimate
    from kepipe.tracking.registry import Version
    from kepipe.tracking.store import Store

app = typer.Typer(
    help="Registered models: list, compare, promote, approve, roll back, archive, model cards.",
    no_args_is_help=True,
)
VersionArgument = Annotated[
    str, typer.Argument(help="NAME (its champion), NAME@ALIAS or NAME/VERSION.", show_default=False)
]
NameArgument = Annotated[str, typer.Argument(help="Name of the registered model.", show_default=False)]


@app.command("list")
def list_(
    name: Annotated[str, typer.Argument(help="Only this model.", show_default=False)] = "",
    workspace: WorkspaceOption = WORKSPACE,
) -> None:
    """List all versions with their aliases and the gate's decision."""
    from kepipe.tracking.registry import versions

    registered = versions(_store(workspace).client, name)
    if not registered:
        echo("no model is registered; run a pipeline with the stage `register`")
    for version in registered:
        echo(*_line(version))


@app.command()
def promote(
    name: NameArgument,
    version: Annotated[int, typer.Argument(help="The version that becomes champion.", show_default=False)],
    workspace: WorkspaceOption = WORKSPACE,
) -> None:
    """Make a version champion, regardless of the gate."""
    from kepipe.tracking import registry

    registry.promote(_store(workspace), name, version)
    echo(f"{name} version {version} is champion")


@app.command()
def rollback(name: NameArgument, workspace: WorkspaceOption = WORKSPACE) -> None:
    """Make the previous champion champion again."""
    from kepipe.tracking import registry

    version = registry.rollback(_store(workspace), name)
    echo(f"{name} version {version} is champion again")


@app.command()
def approve(
    name: NameArgument,
    version: Annotated[int, typer.Argument(help="The version to approve.", show_default=False)],
    workspace: WorkspaceOption = WORKSPACE,
) -> None:
    """Approve a version whose gate asks for a person's approval."""
    import getpass

    from kepipe.tracking import registry

    registry.approve(_store(workspace), name, version, getpass.getuser())
    echo(f"{name} version {version} is champion")


@app.command()
def history(name: NameArgument, workspace: WorkspaceOption = WORKSPACE) -> None:
    """Show each version's decision at the gate with its reason, and manual changes, newest last."""
    from kepipe.tracking.decision import WHY, outcome
    from kepipe.tracking.registry import champions, events, versions

    store = _store(workspace)
    lines = [
        (each.created, f"version {each.version} {outcome(each.tags)}: {each.tags.get(WHY, '')}")
        for each in versions(store.client, name)
    ]
    lines += [(at, f"{what} version {version}") for at, what, version in events(store, name)]
    for at, line in sorted(lines):
        echo(f"{_at(at)}  {line}")
    echo(f"champions in order: {', '.join(map(str, champions(store, name))) or 'none'}")


@app.command()
def compare(
    first: VersionArgument,
    second: VersionArgument,
    again: Annotated[
        bool,
        typer.Option("--again", help="Evaluate both on the cases of the newer version's evaluation."),
    ] = False,
    workspace: WorkspaceOption = WORKSPACE,
) -> None:
    """Show the metrics of two versions side by side; with --again, paired differences with 95% intervals."""
    from kepipe.stages.champion import evaluate_pair
    from kepipe.tracking import comparison
    from kepipe.tracking.version_lookup import find

    store = _store(workspace)
    found = comparison.compare(find(store, first), find(store, second), evaluate_pair if again else None)
    echo(f"{'':<32}{first:>16}{second:>16}  {'difference' if again else ''}")
    for row in found.rows:
        echo(
            f"{row.metric:<32}{_figure(row.first):>16}{_figure(row.second):>16}  {_difference(row.difference)}"
        )
    echo(found.basis)


@app.command()
def archive(
    name: NameArgument,
    keep: Annotated[int, typer.Option(min=1, help="Number of newest versions that keep their files.")] = 5,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be deleted, and stop.")] = False,
    workspace: WorkspaceOption = WORKSPACE,
) -> None:
    """Delete the files of old versions. Versions with an alias and the previous champion are kept; records stay."""
    from kepipe.tracking.archive import archive as archive_versions

    done = archive_versions(_store(workspace), name, keep, dry_run=dry_run)
    for number, why in sorted(done.kept.items()):
        echo(f"version {number} is kept: {why}")
    verb = "would be archived" if dry_run else "archived"
    echo(f"{verb}: {', '.join(map(str, sorted(done.archived))) or 'none'}")


@app.command()
def card(version: VersionArgument, workspace: WorkspaceOption = WORKSPACE) -> None:
    """Print a version's model card as Markdown: use, licence, data, metrics, the gate's decision, training."""
    from kepipe.tracking import card as cards
    from kepipe.tracking.version_lookup import find

    echo(cards.card(find(_store(workspace), version)))


def _store(workspace: Path) -> Store:
    from kepipe.config import ConfigError
    from kepipe.tracking.store import StoreUnavailable, connect

    try:
        return connect(workspace.resolve())
    except StoreUnavailable as reason:
        raise ConfigError(f"the model registry is unreachable: {reason}") from None


def _line(version: Version) -> tuple[str, ...]:
    from kepipe.tracking.registry import ARCHIVED

    at = _at(version.created)
    held = "archived" if ARCHIVED in version.tags else " ".join(version.aliases)
    aliases = style(f"{held:<22}", fg=typer.colors.GREEN)
    return (
        f"{version.model}  {version.version:>3}  {at}  ",
        aliases,
        f"  {version.tags.get('kepipe.gate.why', '')}",
    )


def _at(moment: float) -> str:
    from datetime import datetime

    return f"{datetime.fromtimestamp(moment):%Y-%m-%d %H:%M}"


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _difference(difference: Estimate | None) -> str:
    if difference is None:
        return ""
    if difference.low is None or difference.high is None:
        return f"{difference.value:+.4g} ({difference.clusters} documents, too few for an interval)"
    return f"{difference.value:+.4g} (95% interval {difference.low:.4g} to {difference.high:.4g})"
