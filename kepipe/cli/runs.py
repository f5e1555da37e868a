"""`kepipe lineage`, `kepipe runs diff`: the lineage of a result, and the differences of two results."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kepipe.cli.options import WORKSPACE, WorkspaceOption
from kepipe.terminal import echo

if TYPE_CHECKING:
    from kepipe.flow.lineage import LineageNode, StageResult

app = typer.Typer(help="Compare the results of runs.", no_args_is_help=True)
MIN_DIGEST = 4
"""Minimum number of characters of a digest that identify a result."""
RESULT = "A stage's folder (workspace/…/pretrain), a digest or a prefix of it, or models:/NAME@champion."


def lineage(
    result: Annotated[str, typer.Argument(help=RESULT, show_default=False)],
    html: Annotated[Path | None, typer.Option(help="Write an HTML page with the graph.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    workspace: WorkspaceOption = WORKSPACE,
) -> None:
    """Show where a result comes from: the results and files it was made from, and the run that made each."""
    from kepipe.flow.lineage import lineage_of
    from kepipe.flow.plan import Workspace

    place = Workspace(workspace.resolve())
    origin = lineage_of(_find(result, place), place)
    if html is not None and as_json:
        raise ValueError("kepipe lineage: --html or --json, not both")
    if html is not None:
        from kepipe.files import write_text
        from kepipe.report.lineage import lineage_page
        from kepipe.report.page import render

        write_text(html, render(lineage_page(origin)))
        echo(str(html))
    elif as_json:
        echo(json.dumps(_as_json(origin), indent=1, ensure_ascii=False))
    else:
        for line in _lines(origin, "", set()):
            echo(line)


@app.command()
def diff(
    first: Annotated[str, typer.Argument(help=RESULT, show_default=False)],
    second: Annotated[str, typer.Argument(help="The other result.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
    workspace: WorkspaceOption = WORKSPACE,
) -> None:
    """Compare two results of a stage, and everything they were made from: settings, inputs, files, seeds, code,
    metrics."""
    from kepipe.flow.differences import differences
    from kepipe.flow.plan import Workspace

    place = Workspace(workspace.resolve())
    kind = ""
    one, other = _find(first, place), _find(second, place)
    found = list(differences(one, other, place))
    for difference in found:
        if as_json:
            echo(json.dumps(vars(difference), ensure_ascii=False))
            continue
        if difference.kind != kind:
            kind = difference.kind
            echo(kind)
        echo(f"  {difference.where:<48} {_value(difference.first)}  →  {_value(difference.second)}")
    if found:
        return
    if one.digest == other.digest:
        echo("they are the same result" if one.folder == other.folder else "their content is identical")
    else:
        echo(
            "settings, inputs, files and code are the same, but the content differs: the computation is not "
            "deterministic, or the code was changed without a commit"
        )


def _value(value: Any) -> str:
    if value is None:
        return "–"
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _find(result: str, workspace: Any) -> StageResult:
    """Find a result. Raises ValueError if there is none or several."""
    from kepipe.flow.lineage import StageResult, by_digest
    from kepipe.tracking.model_uri import digest_of, is_model_uri

    if Path(result).is_dir():
        return StageResult.open(Path(result))
    digest = digest_of(result, workspace.root) if is_model_uri(result) else result
    found = [made for known, made in by_digest(workspace).items() if known.startswith(digest)]
    if len(found) == 1 and len(digest) >= MIN_DIGEST:
        return found[0]
    if is_model_uri(result):
        raise ValueError(f"{result}: its result is no longer in the store of {workspace.root}")
    if not found or len(digest) < MIN_DIGEST:
        raise ValueError(
            f"{result}: no such folder, and no result in {workspace.root} with this digest (at least {MIN_DIGEST} "
            "characters; `kepipe lineage` shows digests)"
        )
    raise ValueError(f"{result}: {len(found)} results have a digest with this prefix; give more characters")


def _lines(origin: LineageNode, indent: str, seen: set[str]) -> Iterator[str]:
    slot = f"{origin.slot}: " if origin.slot else ""
    if origin.made is None:
        yield f"{indent}{slot}{origin.digest[:12]}  (no longer in the store)"
        return
    made = origin.made
    started = made.record.get("started")
    at = time.strftime("%Y-%m-%d %H:%M", time.localtime(started)) if started else ""
    again = "  (see above)" if origin.digest in seen else ""
    yield f"{indent}{slot}{made.stage}  {origin.digest[:12]}  {at}  run {made.run}{again}"
    if again:
        return
    seen.add(origin.digest)
    for name, digest in made.sources.items():
        yield f"{indent}    {name}  {digest[:12]}"
    for part in origin.inputs:
        yield from _lines(part, indent + "  ", seen)


def _as_json(origin: LineageNode) -> dict[str, Any]:
    """`root`: the digest asked for; `results`: each digest once, with its inputs, slot → digest."""
    results: dict[str, Any] = {}

    def add(node: LineageNode) -> None:
        if node.digest in results:
            return
        about: dict[str, Any] = {"inputs": {part.slot: part.digest for part in node.inputs}}
        if (made := node.made) is not None:
            about |= {"stage": made.stage, "kind": made.kind, "run": made.run, "folder": str(made.folder)}
            about |= {"sources": dict(made.sources), "seed": made.seed}
        results[node.digest] = about
        for part in node.inputs:
            add(part)

    add(origin)
    return {"root": origin.digest, "results": results}
