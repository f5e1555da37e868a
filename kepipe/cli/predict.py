"""`kepipe predict`: a fine-tuned model answers texts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from kepipe.cli.knowledge_option import KnowledgeOption, read_knowledge
from kepipe.terminal import echo


def predict(
    model: Annotated[
        Path, typer.Argument(help="What a stage finetune made: workspace/…/finetune.", show_default=False)
    ],
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            help="Texts. Relations: `[[Marie Curie|head]] was born in [[Warsaw|tail]].` Typing: "
            "`[[Warsaw|mention]] lies on …`. Pairs and ranking: `one text ||| the other`.",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", "-f", help="Read texts from here, one a line; `-`: standard input."),
    ] = None,
    graph: Annotated[
        Path | None,
        typer.Option(
            help="Inject triples of this stored graph instead of the one the model was trained with, find its names, "
            "and compose vectors from it."
        ),
    ] = None,
    knowledge: KnowledgeOption = None,
    linker: Annotated[
        Path | None, typer.Option(help="Link with this linker instead of the model's own.")
    ] = None,
    unknown: Annotated[
        Literal["ignore", "compose"],
        typer.Option(
            help="Entities without a vector: ignore them, or compose one from their neighbours in the graph."
        ),
    ] = "ignore",
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")] = False,
) -> None:
    """Answer texts: link them, look entities up, fuse or inject what is known, and predict with probabilities."""
    if (file is None) == (not texts):
        raise ValueError("kepipe predict: give texts, or --file with one text a line")
    from kepipe.device import resolve
    from kepipe.finetuning.predictor import Predictor

    asked = texts or _lines(file)
    predictor = Predictor.open(
        model,
        methods=read_knowledge(knowledge),
        graph=graph,
        linker=linker,
        unknown=unknown,
        device=resolve("auto"),
    )
    for text, record in zip(asked, predictor.predict(asked), strict=True):
        if as_json:
            echo(json.dumps({"text": text, **record}, ensure_ascii=False))
        else:
            echo(f"{predictor.fine_tuned.spec.row.as_line(record)}\t{text}")
            for entity in record.get("entities", ()):
                ignored = "" if entity["known"] else " (unknown to the model: ignored)"
                echo(f"    {entity['text']} → {entity['entity']}{ignored}")


def _lines(file: Path | None) -> list[str]:
    """The texts of a file. Raises ValueError for one without any."""
    assert file is not None
    text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
    found = [line for line in text.splitlines() if line.strip()]
    if not found:
        raise ValueError(f"{file}: no text; expected one a line")
    return found
