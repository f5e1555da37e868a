"""`kepipe generate` and `kepipe export`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from kepipe.api.knowledge import prompt_facts, read_added
from kepipe.cli.knowledge_option import (
    LinkerOption,
    PromptGraphOption,
    PromptKnowledgeOption,
    VectorsOption,
    WriterArgument,
    report_facts,
)
from kepipe.models.prompt_styles import PromptStyle, described
from kepipe.terminal import echo

if TYPE_CHECKING:
    from kepipe.inference.added_knowledge import AddedKnowledge
    from kepipe.inference.opening import OpenedModel

ExportForm = Literal["own", "onnx"]
"""A form in which a model is exported."""
PromptStyleOption = Annotated[
    PromptStyle | None,
    typer.Option(
        "--prompt-style",
        help=f"How the model is prompted: {described()}. Default: as it was trained.",
    ),
]
SeedOption = Annotated[int, typer.Option(min=0, help="Random seed.")]


def generate(
    model: WriterArgument,
    prompt: Annotated[str, typer.Argument(help="The text to continue.", show_default=False)],
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of new tokens.")] = 50,
    beams: Annotated[int, typer.Option(min=1, help="Beam size; 1: no beam search.")] = 1,
    count: Annotated[
        int, typer.Option(min=1, help="Number of continuations (with beam search: the best ones).")
    ] = 1,
    temperature: Annotated[
        float | None,
        typer.Option(help="Sample from p^(1/temperature). Without any sampling option, decoding is greedy."),
    ] = None,
    top_k: Annotated[int, typer.Option(min=0, help="Sample from the k likeliest tokens; 0: from all.")] = 0,
    top_p: Annotated[
        float,
        typer.Option(
            min=0, max=1, help="Sample from the likeliest tokens that together have this probability."
        ),
    ] = 1.0,
    seed: SeedOption = 0,
    prompt_style: PromptStyleOption = None,
    knowledge: PromptKnowledgeOption = None,
    graph: PromptGraphOption = None,
    vectors: VectorsOption = None,
    linker: LinkerOption = None,
) -> None:
    """Continue a text: greedily, by sampling (--temperature, --top-k, --top-p), or by beam search (--beams)."""
    from kepipe.api.writing import Decoding, write

    try:
        decoding = Decoding(limit, beams, count, temperature, top_k, top_p, seed)
    except ValueError as mistake:
        raise typer.BadParameter(str(mistake)) from None
    added = read_added(knowledge, graph, vectors, linker)
    opened = open_writer(model, prompt_style, added)
    facts = prompt_facts(opened, added, linker, [prompt])
    texts = write(model, opened, prompt, decoding, facts)
    report_facts(None if facts is None else facts.counts)
    for text in texts:
        echo(text)


def export(
    model: Annotated[str, typer.Argument(help="A model folder, `minilm`, or a hub id.", show_default=False)],
    folder: Annotated[Path, typer.Argument(help="Folder to write.", show_default=False)],
    to: Annotated[
        ExportForm,
        typer.Option(help="own: its family's form, ONNX where that has none; onnx: an ONNX graph."),
    ] = "own",
    int8: Annotated[
        bool, typer.Option("--int8", help="Weights of the ONNX graph as int8: smaller and faster on a CPU.")
    ] = False,
) -> None:
    """Export a model: as a Hugging Face folder for `AutoModel…from_pretrained`, as an ARPA file (n-grams), as word
    vectors in a text file, as ELMo's published files, or as an ONNX graph (LSTM, CNN, NNLM, and others by --to onnx). A
    model fine-tuned on texts or words keeps its head and labels."""
    from kepipe.finetuning.fine_tuned import SPEC
    from kepipe.models.pretrained import locate

    if folder.exists() and any(folder.iterdir()):
        raise typer.BadParameter(f"{folder} is not empty; choose a new folder")
    if int8 and to != "onnx":
        raise typer.BadParameter("--int8 is for ONNX graphs: add --to onnx")
    source = locate(model)
    if (source / SPEC).is_file():
        _export_tuned(source, folder, to, int8)
    else:
        _export_pretrained(model, source, folder, to, int8)
    echo(f"{folder}: {', '.join(sorted(file.name for file in folder.iterdir()))}")


def _export_tuned(source: Path, folder: Path, to: ExportForm, int8: bool) -> None:
    """A fine-tuned model: for Hugging Face where its encoder is a transformer, else as a graph."""
    from kepipe.finetuning import export as with_head
    from kepipe.finetuning import onnx_export
    from kepipe.finetuning.model_card import write_card
    from kepipe.inference.opening import read_config
    from kepipe.models.config import TransformerConfig

    if to == "onnx" or not isinstance(read_config(source), TransformerConfig):
        onnx_export.export(folder, source, _to_stderr, int8=int8)
    else:
        write_card(folder, source, with_head.export(folder, source, _to_stderr))


def _export_pretrained(model: str, source: Path, folder: Path, to: ExportForm, int8: bool) -> None:
    from kepipe.inference.opening import export_model, export_onnx

    _warn_about_knowledge(model, source)
    if to == "onnx":
        export_onnx(source, folder, _to_stderr, int8=int8)
    else:
        export_model(source, folder)


def _to_stderr(message: str) -> None:
    echo(message, err=True)


def _warn_about_knowledge(model: str, source: Path) -> None:
    """Warn about the parts of a model's knowledge that are not exported."""
    from kepipe.inference.opening import read_config
    from kepipe.knowledge.opening import read_settings
    from kepipe.knowledge.table import name_of

    if getattr(read_config(source), "fusion", None) is not None:
        echo(
            f"{model}: the entity vectors are not exported, only the token layers. "
            "`kepipe.models.hf.auto.save` writes the complete model, which transformers opens with kepipe installed",
            err=True,
        )
        return
    for settings in read_settings(source, predicting=True):
        echo(f"{model}: the knowledge of {name_of(settings)} is not exported", err=True)


def open_writer(model: str, prompt_style: PromptStyle | None, added: AddedKnowledge | None) -> OpenedModel:
    """Open a language model with its knowledge; its notes go to the terminal."""
    from kepipe.device import resolve
    from kepipe.inference.language_model import open_language_model

    return open_language_model(
        model, prompt_style, lambda message: echo(message, err=True), added, resolve("auto")
    )
