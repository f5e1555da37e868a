"""`kepipe drift`: test new text for drift from the training text."""

from __future__ import annotations

from typing import Annotated

import typer

from kepipe.cli.options import WORKSPACE, PipelineArgument, SetOption, WorkspaceOption
from kepipe.terminal import echo


def drift(
    pipeline: PipelineArgument,
    workspace: WorkspaceOption = WORKSPACE,
    set_: SetOption = None,
    level: Annotated[
        float, typer.Option(min=0, max=0.5, help="False-alarm rate of all measures together.")
    ] = 0.01,
    exit_code: Annotated[
        bool, typer.Option("--exit-code", help="Exit with code 10 on drift, for scripts.")
    ] = False,
) -> None:
    """Test whether new texts differ from those the newest model was trained on. Nothing is trained or promoted."""
    from kepipe.api import drifting
    from kepipe.console.run import open_console
    from kepipe.flow.triggers.on_drift import DRIFTED

    with open_console(False) as console:
        report, page = drifting.drift(pipeline, workspace, set_ or (), console, level)
    for name, found in report.found.items():
        mark = "drift" if name in report.drifted else ""
        echo(
            f"{name:<16}{found.reference:>10.4g} → {found.new:<10.4g} statistic {found.statistic:<8.3g} "
            f"p {found.p:<7.3g} {mark}".rstrip()
        )
    for name, reason in report.skipped.items():
        echo(f"{name:<16}{reason}")
    if page is not None:
        echo(f"page: {page}")
    echo(report.headline)
    raise typer.Exit(DRIFTED if exit_code and report.drifted else 0)
