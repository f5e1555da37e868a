"""`kepipe config`: list pipelines, check and show their settings."""

from __future__ import annotations

import json

import typer

from kepipe.cli.options import PipelineArgument, PipelineArguments, SetOption
from kepipe.terminal import echo, style

app = typer.Typer(
    help="List the pipelines included with kepipe; check pipeline files and show their settings.",
    no_args_is_help=True,
)


@app.command("list")
def list_() -> None:
    """List the pipelines included with kepipe, with a summary of each."""
    from kepipe.pipeline.shipped import shipped, summary

    for name, file in shipped().items():
        echo(style(name, bold=True), f"\n    {summary(file)}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of pipeline files, for completion and checks in an editor."""
    from kepipe.pipeline import schema as make_schema

    echo(json.dumps(make_schema(), indent=2, ensure_ascii=False))


@app.command()
def check(pipelines: PipelineArguments, set_: SetOption = None) -> None:
    """Check pipeline files, and the first records of the data that they name, without running anything."""
    from kepipe.config import ConfigError
    from kepipe.pipeline import load
    from kepipe.pipeline.inspection import inspect

    wrong = False
    for pipeline in pipelines:
        try:
            flow, _ = load(pipeline, set_ or [])
        except ConfigError as error:
            echo(f"kepipe: {error}", err=True)
            wrong = True
            continue
        for warning in inspect(flow):
            echo(f"{pipeline}: warning: {warning}", err=True)
        names = [node.name for node in flow.nodes]
        written = [name for name in names if "." not in name]
        copies = f"; {len(names) - len(written)} for arms and seeds" if len(written) < len(names) else ""
        echo(f"{pipeline}: valid; stages {', '.join(written)}{copies}")
    if wrong:
        raise typer.Exit(2)


@app.command()
def show(pipeline: PipelineArgument, set_: SetOption = None) -> None:
    """Print the pipeline with all settings, including defaults, as an equivalent pipeline file."""
    import yaml

    from kepipe.pipeline import with_all_settings

    echo(
        yaml.safe_dump(with_all_settings(pipeline, set_ or []), sort_keys=False, allow_unicode=True).rstrip()
    )
