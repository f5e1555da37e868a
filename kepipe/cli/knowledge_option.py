"""`--knowledge`: what a graph gives a model, as the section `knowledge:` of a stage says it, and its sources."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from kepipe.terminal import echo

KnowledgeOption = Annotated[
    str | None,
    typer.Option(
        "--knowledge",
        help="What a graph gives the model, in place of what its folder brings by the same method: a method's name, or "
        "YAML as in a stage, `{method: NAME, SETTING: VALUE}`.",
        show_default=False,
    ),
]
VectorsOption = Annotated[
    Path | None,
    typer.Option(help="Entity vectors instead of the model's own: what a stage embed made."),
]
LinkerOption = Annotated[Path | None, typer.Option(help="Link with this linker instead of the model's own.")]
PromptGraphOption = Annotated[
    Path | None,
    typer.Option(help="Facts of this stored graph instead of the model's own, and entities by its names."),
]
PromptKnowledgeOption = Annotated[
    str | None,
    typer.Option(
        "--knowledge",
        help="Facts before the prompt, of what it names, in place of what the model's folder brings by the same "
        "method: a method's name, or YAML as in a stage, `{method: NAME, SETTING: VALUE}`; `none`: the prompt alone.",
        show_default=False,
    ),
]
WriterArgument = Annotated[
    str,
    typer.Argument(
        help="A model that goes on with texts: its folder (workspace/gpt/pretrain), or a hub id.",
        show_default=False,
    ),
]


def tell_facts(counts: Mapping[str, int] | None) -> None:
    """Say on standard error what stood before the prompts: see `PromptFacts.counts`."""
    if counts is not None:
        echo(
            f"knowledge: {counts['mentions']:,} entities named in {counts['prompts']:,} prompts, {counts['known']:,} "
            f"of them known; {counts['tokens']:,} tokens of facts stand before the text",
            err=True,
        )
