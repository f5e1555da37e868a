"""`kepipe predict`: a fine-tuned model answers texts."""

from __future__ import annotations

import json
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from kepipe.api.graphs import opened_graph
from kepipe.api.knowledge import read_knowledge
from kepipe.api.predicting import NO_ENTITIES, answer
from kepipe.cli import predict_files as files
from kepipe.cli.knowledge_option import KnowledgeOption, LinkerOption, VectorsOption
from kepipe.cli.options import WORKSPACE, WorkspaceOption
from kepipe.terminal import echo

if TYPE_CHECKING:
    from kepipe.finetuning.predictor import Predictor


def predict(
    model: Annotated[
        str,
        typer.Argument(
            help="What a stage finetune made: workspace/…/finetune; or a registered model: models:/NAME@champion.",
            show_default=False,
        ),
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
        typer.Option(
            "--file",
            "-f",
            help="Read texts from here, one a line, or JSON lines with `text` and perhaps `id`; `-`: standard input. "
            "Of any length: answers are written as they come.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="With --file: write the answers here, as JSON lines with `id` and `text`. After a kill the same "
            "command goes on.",
        ),
    ] = None,
    graph: Annotated[
        Path | None,
        typer.Option(
            help="Inject triples of this graph, stored or in any format that kepipe reads, instead of the one the "
            "model was trained with, find its names, and compose vectors from it."
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
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON object a line.")] = False,
    conll: Annotated[
        bool,
        typer.Option(
            "--conll", help="Print or write CoNLL's columns, a word and its label a line (tagging)."
        ),
    ] = False,
    workspace: WorkspaceOption = WORKSPACE,
) -> None:
    """Answer texts: link them, look entities up, fuse or inject what is known, and predict with probabilities."""
    if (file is None) == (not texts):
        raise ValueError("kepipe predict: give texts, or --file with one text a line")
    if conll and as_json:
        raise ValueError(
            "kepipe predict: --json and --conll both say how answers look: leave one of them out"
        )
    if out is not None and file is None:
        raise ValueError("kepipe predict: --out goes with --file")
    if file is not None and str(file) != "-" and not file.is_file():
        raise ValueError(f"{file}: no such file")
    if out is not None and str(file) == "-":
        raise ValueError("--out goes with a file: standard input cannot be read again after a kill")
    from kepipe.device import resolve
    from kepipe.finetuning.predictor import Predictor
    from kepipe.tracking.model_uri import opened_folder

    with ExitStack() as stack:
        folder = stack.enter_context(opened_folder(model, workspace.resolve()))
        predictor = Predictor.open(
            folder,
            methods=read_knowledge(knowledge),
            graph=None if graph is None else stack.enter_context(opened_graph(graph)).folder,
            vectors=vectors,
            linker=linker,
            unknown=unknown,
            device=resolve("auto"),
        )
        row = predictor.fine_tuned.spec.row
        if conll and row.as_conll is None:
            raise ValueError(
                f"--conll: the answers of {predictor.fine_tuned.spec.task} are no labels of words"
            )
        form: files.Form = "conll" if conll else "json" if as_json or out is not None else "text"
        if file is None:
            assert texts is not None
            answers = answer(predictor, texts, lambda message: echo(f"kepipe: {message}", err=True))
            for text, record in zip(texts, answers, strict=True):
                _show(predictor, {"text": text, **record}, form)
            return
        job = ""
        if out is not None:
            sources = {"graph": graph, "vectors": vectors, "linker": linker}
            options = {"knowledge": knowledge, "unknown": unknown, "form": form}
            job = files.digest_job(folder, file, sources, options)
        _answer_file(predictor, file, out, job, form)


def _answer_file(predictor: Predictor, file: Path, out: Path | None, job: str, form: files.Form) -> None:
    """Answer the texts of a file as they are read. Raises ValueError for one without any."""
    from kg.problems import Problems

    problems = Problems()
    with files.resumable(out, job, form) as (stream, totals):
        if totals.texts:
            echo(f"going on after {totals.texts:,} texts", err=True)
        texts = islice(files.read_texts(file, problems), totals.texts, None)
        for records in files.answer_all(predictor, texts):
            for record in records:
                totals.count(record)
                if out is None:
                    _show(predictor, record, form)
                else:
                    stream.write(_written(predictor, record, form))
            stream.flush()
            if out is not None:
                echo(f"{totals.texts:,} texts", err=True)
        if problems:
            echo(problems.summary(), err=True)
        if not totals.texts:
            raise ValueError(f"{file}: no text; expected one a line")
    if totals.refused:
        echo(f"kepipe: {totals.refused:,} texts are not as the task wants them: see `error`", err=True)
    if predictor.takes_entities and not totals.with_entities:
        echo(f"kepipe: {NO_ENTITIES}", err=True)


def _written(predictor: Predictor, record: dict[str, Any], form: files.Form) -> str:
    """An answer as it stands in a file; one that there is not, as CoNLL's comment."""
    if form == "json":
        return files.to_line(record)
    if "error" in record:
        return files.refusal(record)
    as_conll = predictor.fine_tuned.spec.row.as_conll
    assert as_conll is not None
    return as_conll(record)


def _show(predictor: Predictor, record: dict[str, Any], form: files.Form) -> None:
    if form == "json":
        echo(json.dumps(record, ensure_ascii=False))
    elif form == "conll" and "error" not in record:
        echo(_written(predictor, record, form).removesuffix("\n"))
    elif "error" in record:
        echo(f"kepipe: {record['id']}: {record['error']}", err=True)
        echo("")  # its place, so that answers stand beside their texts
    else:
        echo(f"{predictor.fine_tuned.spec.row.as_line(record)}\t{record['text']}")
        for entity in record.get("entities", ()):
            ignored = "" if entity["known"] else " (unknown to the model: ignored)"
            echo(f"    {entity['text']} → {entity['entity']}{ignored}")
