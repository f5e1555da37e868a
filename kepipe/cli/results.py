"""`kepipe results`: all studies of a workspace or of an MLflow store on one page."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kepipe.cli.options import WORKSPACE, WorkspaceOption
from kepipe.terminal import echo

if TYPE_CHECKING:
    from kepipe.studies.results import StudyResult


def results(
    out: Annotated[
        Path | None, typer.Option(help="Markdown file to write. Default: standard output.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write an HTML page.")] = None,
    mlflow: Annotated[
        bool,
        typer.Option(
            "--mlflow",
            help="Read studies from the MLflow store (MLFLOW_TRACKING_URI) instead of the workspace.",
        ),
    ] = False,
    workspace: WorkspaceOption = WORKSPACE,
) -> None:
    """Show the results of all studies: arms, intervals, tests with Holm's correction, costs of each arm, and published
    values."""
    from kepipe.files import write_text
    from kepipe.report.page import render
    from kepipe.report.results import markdown, results_page

    studies = _studies(workspace, mlflow)
    if not studies:
        raise ValueError(f"no finished study in {'the MLflow store' if mlflow else workspace}")
    page = results_page(studies, _published(studies))
    if html is not None:
        write_text(html, render(page))
        echo(str(html))
    text = markdown(page, _command(out, mlflow))
    if out is not None:
        write_text(out, text)
        echo(str(out))
    elif html is None:
        echo(text)


def _studies(workspace: Path, mlflow: bool) -> list[StudyResult]:
    if mlflow:
        from kepipe.tracking.store import connect
        from kepipe.tracking.studies import studies

        return list(studies(connect(workspace)))
    from kepipe.studies.results import in_workspace

    return list(in_workspace(workspace))


def _published(studies: list[StudyResult]) -> dict[str, str]:
    """Pipeline → published values, from the header of the included pipeline of that name."""
    from kepipe.pipeline.shipped import head, shipped

    known = shipped()
    return {
        study.pipeline: head(known[study.pipeline], "Published")
        for study in studies
        if study.pipeline in known
    }


def _command(out: Path | None, mlflow: bool) -> str:
    words = ["kepipe", "results", *(["--mlflow"] if mlflow else []), *(["--out", str(out)] if out else [])]
    return shlex.join(words)
