"""`kepipe predict`: predictions of a fine-tuned model, or of one that fills masks."""

from __future__ import annotations

import json
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from kepipe.api.asking import Asked, Sources, open_masks, open_task
from kepipe.api.graphs import opened_graph
from kepipe.api.predicting import NO_ENTITIES, answer
from kepipe.cli import predict_files as files
from kepipe.cli.knowledge_option import KnowledgeOption, LinkerOption, VectorsOption
from kepipe.cli.options import WORKSPACE, WorkspaceOption
from kepipe.terminal import echo


def predict(
    model: Annotated[
        str,
        typer.Argument(
            help="A model that is fine-tuned or fills masks, such as workspace/…/finetune, or a registered one, "
            "models:/NAME@champion.",
            show_default=False,
        ),
    ],
    texts: Annotated[
        list[str] | None,
        typer.Argument(
            help="Texts. Relations: `[[Marie Curie|head]] was born in [[Warsaw|tail]].` Typing: "
            "`[[Warsaw|mention]] lies on …`. Pairs and ranking: `one text ||| the other`. Masks: the tokenizer's mask "
            "token, `The capital of France is \\[MASK].`",
            show_default=False,
        ),
    ] = None,
    file: Annotated[
        Path | None,
        typer.Option(
            "--file",
            "-f",
            help="Read texts from a file of any length: one per line, or JSON lines with `text` and optionally `id`; "
            "`-`: standard input. Predictions are streamed.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="With --file: write predictions to this file, as JSON lines with `id` and `text`. If interrupted, "
            "run the same command again to resume.",
        ),
    ] = None,
    graph: Annotated[
        Path | None,
        typer.Option(
            help="Graph to use instead of the one the model was trained with, stored or in any readable format: "
            "its triples are injected, its names are found, and vectors are composed from it."
        ),
    ] = None,
    knowledge: KnowledgeOption = None,
    vectors: VectorsOption = None,
    linker: LinkerOption = None,
    unknown: Annotated[
        Literal["ignore", "compose"],
        typer.Option(
            help="Entities without a vector: ignore them, or compose one from their neighbours in the graph."
        ),
    ] = "ignore",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON lines.")] = False,
    conll: Annotated[
        bool,
        typer.Option("--conll", help="Print or write CoNLL columns, one word and label per line (tagging)."),
    ] = False,
    workspace: WorkspaceOption = WORKSPACE,
) -> None:
    """Predict the labels or the masked words of texts, with probabilities, after adding the model's knowledge about
    their entities."""
    if (file is None) == (not texts):
        raise ValueError("kepipe predict: give texts, or --file with one text per line")
    if conll and as_json:
        raise ValueError("kepipe predict: --json and --conll are mutually exclusive")
    if out is not None and file is None:
        raise ValueError("kepipe predict: --out needs --file")
    if file is not None and str(file) != "-" and not file.is_file():
        raise ValueError(f"{file}: no such file")
    if out is not None and str(file) == "-":
        raise ValueError("--out needs a file: standard input cannot be resumed")
    from kepipe.tracking.model_uri import opened_folder

    with ExitStack() as stack:
        folder = stack.enter_context(opened_folder(model, workspace.resolve()))
        stored = None if graph is None else stack.enter_context(opened_graph(graph)).folder
        sources = Sources(stored, vectors, linker, unknown)
        asked = open_masks(folder, knowledge, sources) or open_task(folder, knowledge, sources)
        if conll and asked.as_conll is None:
            raise ValueError(f"--conll: {asked.what} does not label words")
        form: files.Form = "conll" if conll else "json" if as_json or out is not None else "text"
        if file is None:
            assert texts is not None
            answers = answer(asked.model, texts, lambda message: echo(f"kepipe: {message}", err=True))
            for text, record in zip(texts, answers, strict=True):
                _show(asked, {"text": text, **record}, form)
            return
        job = ""
        if out is not None:
            options = {"knowledge": knowledge, "unknown": unknown, "form": form}
            given = {"graph": graph, "vectors": vectors, "linker": linker}
            job = files.digest_job(folder, file, given, options)
        _predict_file(asked, file, out, job, form)


def _predict_file(asked: Asked, file: Path, out: Path | None, job: str, form: files.Form) -> None:
    """Predict the texts of a file in batches. Raises ValueError for an empty file."""
    from kg.problems import Problems

    problems = Problems()
    with files.resumable(out, job, form) as (stream, totals):
        if totals.texts:
            echo(f"resuming after {totals.texts:,} texts", err=True)
        texts = islice(files.read_texts(file, problems), totals.texts, None)
        for records in files.answer_all(asked.model, texts):
            for record in records:
                totals.count(record)
                if out is None:
                    _show(asked, record, form)
                else:
                    stream.write(_format_record(asked, record, form))
            stream.flush()
            if out is not None:
                echo(f"{totals.texts:,} texts", err=True)
        if problems:
            echo(problems.summary(), err=True)
        if not totals.texts:
            raise ValueError(f"{file}: contains no text; expected one per line")
    if totals.refused:
        echo(f"kepipe: {totals.refused:,} texts are invalid for the task: see `error`", err=True)
    if asked.model.takes_entities and not totals.with_entities:
        echo(f"kepipe: {NO_ENTITIES}", err=True)


def _format_record(asked: Asked, record: dict[str, Any], form: files.Form) -> str:
    """A prediction as text of the output file; an error becomes a comment in CoNLL."""
    if form == "json":
        return files.to_line(record)
    if "error" in record:
        return files.refusal(record)
    assert asked.as_conll is not None
    return asked.as_conll(record)


def _show(asked: Asked, record: dict[str, Any], form: files.Form) -> None:
    if form == "json":
        echo(json.dumps(record, ensure_ascii=False))
    elif form == "conll" and "error" not in record:
        echo(_format_record(asked, record, form).removesuffix("\n"))
    elif "error" in record:
        echo(f"kepipe: {record['id']}: {record['error']}", err=True)
        echo("")  # an empty line, so that outputs align with inputs
    else:
        echo(f"{asked.as_line(record)}\t{record['text']}")
        for entity in record.get("entities", ()):
            ignored = "" if entity["known"] else " (unknown to the model: ignored)"
            echo(f"    {entity['text']} → {entity['entity']}{ignored}")
