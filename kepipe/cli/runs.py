"""`kepipe lineage`, `kepipe runs`: the lineage of a result; the runs of a workspace, and the differences of two runs or
results."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kepipe.cli.options import WORKSPACE, WorkspaceOption
from kepipe.terminal import echo

if TYPE_CHECKING:
    from kepipe.flow.differences import Difference
    from kepipe.flow.lineage import LineageNode, StageResult
    from kepipe.flow.plan import Workspace
    from kepipe.flow.run_results import Stages

app = typer.Typer(help="List runs, and compare their results.", no_args_is_help=True)
MIN_DIGEST = 4
"""Minimum number of characters of a digest that identify a result."""
RESULT = "A stage's folder (workspace/…/pretrain), a digest or a prefix of it, or models:/NAME@champion."

RUN = f"A run: its id (`kepipe runs list`, or MLflow's), or a pipeline's folder (workspace/…). Or a result: {RESULT}"


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


@app.command("list")
def list_runs(workspace: WorkspaceOption = WORKSPACE) -> None:
    """List the runs of a workspace: id, start, pipeline."""
    from kepipe.flow.plan import Workspace
    from kepipe.flow.run_results import runs

    for run, begun in runs(Workspace(workspace.resolve())).items():
        echo(f"{run}  {_time(begun.at)}  {begun.pipeline}")


@app.command()
def diff(
    first: Annotated[str, typer.Argument(help=RUN, show_default=False)],
    second: Annotated[str, typer.Argument(help="The other run or result.", show_default=False)],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
    workspace: WorkspaceOption = WORKSPACE,
) -> None:
    """Compare two runs by stage, or two results of a stage and everything they were made from: settings, inputs, files,
    seeds, code, metrics."""
    from kepipe.flow.differences import differences, differences_of_stages
    from kepipe.flow.lineage import StageResult
    from kepipe.flow.plan import Workspace

    place = Workspace(workspace.resolve())
    one, other = _run_or_result(first, place), _run_or_result(second, place)
    if isinstance(one, StageResult) and isinstance(other, StageResult):
        of_results = list(differences(one, other, place))
        _show(((each.kind, each) for each in of_results), as_json)
        if not of_results:
            echo(_same(one, other))
    elif isinstance(one, StageResult) or isinstance(other, StageResult):
        raise ValueError("kepipe runs diff: one is a run, the other a result of a stage; give two of a kind")
    else:
        of_stages = list(differences_of_stages(one, other))
        _show(of_stages, as_json)
        if not of_stages:
            echo("all stages have the same settings, inputs, files, code and metrics")


def _show(found: Iterable[tuple[str, Difference]], as_json: bool) -> None:
    """Print differences below headings; of runs, whose headings are stages, each with its kind."""
    last = ""
    for heading, each in found:
        if as_json:
            echo(
                json.dumps(
                    vars(each) | ({"stage": heading} if heading != each.kind else {}), ensure_ascii=False
                )
            )
            continue
        if heading != last:
            last = heading
            echo(heading)
        where = each.where
        if heading != each.kind:
            where = f"{each.kind:<9} {where.removeprefix(heading).lstrip('., ')}"
        echo(f"  {where:<48} {_value(each.first)}  →  {_value(each.second)}")


def _same(one: StageResult, other: StageResult) -> str:
    if one.digest == other.digest:
        return "they are the same result" if one.folder == other.folder else "their content is identical"
    return (
        "settings, inputs, files and code are the same, but the content differs: the computation is not "
        "deterministic, or the code was changed without a commit"
    )


def _run_or_result(name: str, workspace: Workspace) -> StageResult | Stages:
    """A run, by its id, its name in MLflow (`PIPELINE, ID`), MLflow's own id or its pipeline's folder; otherwise a
    result. Raises ValueError if there is neither."""
    from kepipe.flow.run_results import stages_of_pipeline, stages_of_run
    from kepipe.tracking.run_lookup import find_run, is_run_id

    if Path(name).is_dir():
        return stages_of_pipeline(Path(name)) or _find(name, workspace)
    if (stages := stages_of_run(name.rpartition(", ")[2], workspace)) is not None:
        return stages
    if not is_run_id(name):
        return _find(name, workspace)
    found = find_run(name, workspace.root)
    if found.digest:
        return _find(found.digest, workspace)
    if (stages := stages_of_run(found.run, workspace)) is None:
        raise ValueError(f"{name}: run {found.run} is not one of the workspace {workspace.root}")
    return stages


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
            "characters; `kepipe lineage` shows digests, `kepipe runs list` runs)"
        )
    raise ValueError(f"{result}: {len(found)} results have a digest with this prefix; give more characters")


def _time(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def _lines(origin: LineageNode, indent: str, seen: set[str]) -> Iterator[str]:
    slot = f"{origin.slot}: " if origin.slot else ""
    if origin.made is None:
        yield f"{indent}{slot}{origin.digest[:12]}  (no longer in the store)"
        return
    made = origin.made
    started = made.record.get("started")
    at = _time(started) if started else ""
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
