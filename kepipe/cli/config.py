"""`kepipe config`: look at settings."""

from __future__ import annotations

import json

import typer

from kepipe.cli.options import PipelineArgument, SetOption
from kepipe.terminal import echo, style

app = typer.Typer(
    help="Check pipeline files, show all settings, list those that come with kepipe.", no_args_is_help=True
)


@app.command("list")
def list_() -> None:
    """List the pipelines that come with kepipe, and what each does."""
    from kepipe.pipeline.shipped import shipped, summary

    for name, file in shipped().items():
        echo(style(name, bold=True), f"\n    {summary(file)}")


@app.command()
def schema() -> None:
    """Print the JSON Schema of pipeline files, by which editors complete and check them."""
    from kepipe.pipeline import schema as make_schema

    echo(json.dumps(make_schema(), indent=2, ensure_ascii=False))


@app.command()
def check(pipeline: PipelineArgument, set_: SetOption = None) -> None:
    """Check a pipeline file without running anything."""
    from kepipe.pipeline import load

    flow, _ = load(pipeline, set_ or [])
    echo(f"{pipeline}: fine; stages {', '.join(node.name for node in flow.nodes)}")


@app.command()
def show(pipeline: PipelineArgument, set_: SetOption = None) -> None:
    """Print every setting with its value, defaults included."""
    import yaml

    from kepipe.pipeline import load

    flow, _ = load(pipeline, set_ or [])
    stages = {
        node.name: {
            **({} if node.stage.name == node.name else {"use": node.stage.name}),
            **({"inputs": {slot: list(names) for slot, names in node.inputs.items()}} if node.inputs else {}),
            **node.config.model_dump(mode="json"),
        }
        for node in flow.nodes
    }
    whole = {"name": flow.name, "seed": flow.seed, "device": flow.device, "stages": stages}
    echo(yaml.safe_dump(whole, sort_keys=False, allow_unicode=True).rstrip())
