"""`kepipe results`: all results of a workspace, of an MLflow store, or of files of results on one page."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kepipe.cli.options import WORKSPACE, WorkspaceOption
from kepipe.terminal import echo

if TYPE_CHECKING:
    from kepipe.studies.all_results import AllResults


def results(
    out: Annotated[
        Path | None, typer.Option(help="Markdown file to write. Default: standard output.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write an HTML page.")] = None,
    json: Annotated[
        Path | None, typer.Option(help="Write the results and costs as JSON, for --from on another machine.")
    ] = None,
    files: Annotated[
        list[Path] | None,
        typer.Option(
            "--from",
            help="Read results from a file of --json, or of `kepipe quiz --json`, instead of the workspace. Can be "
            "repeated.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    mlflow: Annotated[
        bool,
        typer.Option(
            "--mlflow",
            help="Read results from the MLflow store (MLFLOW_TRACKING_URI) instead of the workspace.",
        ),
    ] = False,
    workspace: WorkspaceOption = WORKSPACE,
) -> None:
    """Show the results of all studies, and the scores of the stages outside of them: arms, intervals, tests with Holm's
    correction, costs of each arm, and published values."""
    from kepipe.files import write_text
    from kepipe.report.page import render
    from kepipe.report.results import markdown, results_page
    from kepipe.studies.all_results import write_results

    if files and mlflow:
        raise typer.BadParameter("not together with --from", param_hint="--mlflow")
    found = _find(workspace, mlflow, files or [])
    if not found:
        place = "the MLflow store" if mlflow else ", ".join(map(str, files or [workspace]))
        raise ValueError(f"no finished study and no scores in {place}")
    page = results_page(found, _published(found))
    if html is not None:
        write_text(html, render(page))
        echo(str(html))
    if json is not None:
        write_results(json, found)
        echo(str(json))
    text = markdown(page, _command(out, mlflow, files or []))
    if out is not None:
        write_text(out, text)
        echo(str(out))
    elif html is None and json is None:
        echo(text)


def _find(workspace: Path, mlflow: bool, files: Sequence[Path]) -> AllResults:
    from kepipe.studies.all_results import AllResults, in_workspace, read_results

    if files:
        return read_results(files)
    if mlflow:
        from kepipe.tracking.store import connect
        from kepipe.tracking.studies import scores_outside, studies

        store = connect(workspace)
        return AllResults(list(studies(store)), scores_outside(store))
    return in_workspace(workspace)


def _published(found: AllResults) -> dict[str, str]:
    """Pipeline → published values, from the header of the included pipeline of that name."""
    from kepipe.pipeline.shipped import head, shipped

    known = shipped()
    return {
        study.pipeline: head(known[study.pipeline], "Published")
        for study in found.studies
        if study.pipeline in known
    }


def _command(out: Path | None, mlflow: bool, files: Sequence[Path]) -> str:
    words = ["kepipe", "results"]
    for file in files:
        words += ["--from", str(file)]
    words += ["--mlflow"] if mlflow else []
    words += ["--out", str(out)] if out else []
    return shlex.join(words)
