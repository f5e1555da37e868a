"""`kepipe quiz`: measure how many facts of a graph models know."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kepipe.api.graphs import opened_graph
from kepipe.api.knowledge import NO_KNOWLEDGE, read_added
from kepipe.cli.arms import arms
from kepipe.console.progress import progress
from kepipe.probes.graph_quiz.defaults import HELD_OUT, OPTIONS, QUESTIONS, REDUCTION, STATED, Reduction
from kepipe.terminal import echo

if TYPE_CHECKING:
    from kepipe.inference.added_knowledge import AddedKnowledge
    from kepipe.probes.base import Answers
    from kepipe.probes.graph_quiz.probe import GraphQuiz

NAME = "graph-quiz"


def quiz(
    models: Annotated[
        list[str],
        typer.Argument(help="Models to compare: model folders, `minilm`, or hub ids.", show_default=False),
    ],
    graph: Annotated[
        Path,
        typer.Option("--graph", "-g", help="A stored graph, or a file of any format that `graph` reads."),
    ],
    templates: Annotated[
        Path | None,
        typer.Option(
            help="File of templates, `relation TAB [X] was born in [Y].` a line, or folder of ParaRel's `P19.jsonl` …. "
            "Default: made from the relations' labels."
        ),
    ] = None,
    paraphrases: Annotated[
        int | None, typer.Option(min=1, help="Maximum number of templates per relation. \\[all]")
    ] = None,
    questions: Annotated[int, typer.Option(min=1, help="Maximum number of questions.")] = QUESTIONS,
    options: Annotated[int, typer.Option(min=2, help="Maximum number of options per question.")] = OPTIONS,
    relation: Annotated[
        list[str] | None, typer.Option(help="Ask only for this relation. May be repeated. \\[all]")
    ] = None,
    stated: Annotated[
        str, typer.Option(help="Splits of the graph whose facts were in the training text.")
    ] = ",".join(STATED),
    held_out: Annotated[str, typer.Option(help="Splits whose facts were held out from training.")] = ",".join(
        HELD_OUT
    ),
    vectors: Annotated[
        Path | None, typer.Option(help="TransE vectors of the graph, as a further baseline.")
    ] = None,
    knowledge: Annotated[
        str | None,
        typer.Option(
            "--knowledge",
            help="Give the models knowledge from this graph (and --vectors) with each question: a method's name, or "
            "YAML as in a pipeline, in place of the same method in their folders; `none`: no knowledge.",
            show_default=False,
        ),
    ] = None,
    reduction: Annotated[
        Reduction, typer.Option(help="How the log-probabilities of an option's tokens are combined.")
    ] = REDUCTION,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
    json: Annotated[Path | None, typer.Option(help="Write the scores as JSON.")] = None,
    page: Annotated[Path | None, typer.Option(help="Write an HTML page with relations and examples.")] = None,
) -> None:
    """Ask models for facts of a graph: accuracy with intervals on stated and on held-out facts, next to baselines."""
    import numpy as np

    from kepipe.cli.tables import show_page
    from kepipe.probes.evaluation import score
    from kepipe.probes.graph_quiz.probe import make_quiz, records
    from kepipe.probes.graph_quiz.settings import GraphQuizSettings
    from kepipe.report.page import render
    from kepipe.report.quiz import quiz_page
    from kepipe.studies.scores import write_scores

    names = arms(models)
    of_graph = knowledge not in (None, NO_KNOWLEDGE)
    settings = GraphQuizSettings(
        questions=questions, options=options, templates=templates, paraphrases=paraphrases,
        relations=tuple(relation or ()), stated=_splits(stated), held_out=_splits(held_out), reduction=reduction,
    )  # fmt: skip
    with opened_graph(graph) as opened:
        probe = make_quiz(opened, settings, np.random.default_rng([seed, 4]), vectors)
        echo(f"{graph}: {probe.steps:,} questions", err=True)
        added = read_added(
            knowledge, opened.folder if of_graph else None, vectors if of_graph else None, None
        )
        answered: dict[str, Answers] = {}
        known: dict[str, Mapping[str, int]] = {}
        for arm, name in names.items():
            answered[arm], counts = _ask(arm, name, probe, added)
            known |= {} if counts is None else {arm: counts}
        scores = score(
            {NAME: probe}, {arm: {NAME: answers} for arm, answers in answered.items()}, {NAME: known},
            [*names][-1], seed,
        )  # fmt: skip
        lines = list(records(probe, answered))
        show_page(quiz_page(graph.name, scores, lines, short=True))
        if json is not None:
            write_scores(json, scores)
        if page is not None:
            page.write_text(render(quiz_page(graph.name, scores, lines)), encoding="utf-8")
            echo(f"wrote {page}", err=True)


def _splits(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(",") if name.strip())


def _ask(
    arm: str, name: str, probe: GraphQuiz, added: AddedKnowledge | None
) -> tuple[Answers, Mapping[str, int] | None]:
    """A model's answers, and counts of the subjects that its knowledge gets and covers; None without knowledge."""
    from kepipe.device import resolve
    from kepipe.inference.opening import open_model
    from kepipe.models.pretrained import locate
    from kepipe.probes.evaluation import count_given

    model = open_model(
        locate(name), resolve("auto"), lambda message: echo(f"{arm}: {message}", err=True), added
    )
    with progress(arm, probe.steps, "questions") as tick:
        answers = probe.answer(model, tick)
    return answers, count_given(model, probe)
