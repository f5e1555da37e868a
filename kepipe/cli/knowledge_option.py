"""Options for knowledge: `--knowledge`, like the section `knowledge:` of a stage, and its sources."""

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
        help="Knowledge method to use, in place of the same method in the model's folder: a name, or YAML as in a "
        "pipeline, `{method: NAME, SETTING: VALUE}`.",
        show_default=False,
    ),
]
VectorsOption = Annotated[
    Path | None,
    typer.Option(help="Entity vectors to use instead of the model's own: the folder of a stage `embed`."),
]
LinkerOption = Annotated[Path | None, typer.Option(help="Linker to use instead of the model's own.")]
PromptGraphOption = Annotated[
    Path | None,
    typer.Option(help="Stored graph to take facts and entity names from, instead of the model's own."),
]
PromptKnowledgeOption = Annotated[
    str | None,
    typer.Option(
        "--knowledge",
        help="Put facts about the entities in a prompt before it. A method's name, or YAML as in a pipeline, `{method: "
        "NAME, SETTING: VALUE}`, replaces the same method in the model's folder; `none`: no facts.",
        show_default=False,
    ),
]
WriterArgument = Annotated[
    str,
    typer.Argument(
        help="A language model: its folder (workspace/gpt/pretrain), or a hub id.",
        show_default=False,
    ),
]


def report_facts(counts: Mapping[str, int] | None) -> None:
    """Print on stderr how many facts were put before the prompts: see `PromptFacts.counts`."""
    if counts is not None:
        echo(
            f"knowledge: {counts['mentions']:,} entities in {counts['prompts']:,} prompts, {counts['known']:,} "
            f"of them known; {counts['tokens']:,} tokens of facts were put before the text",
            err=True,
        )
