"""Stage `report`: everything the stages before it found, as one self-contained page."""

from __future__ import annotations

from dataclasses import dataclass

from kepipe.config import Section
from kepipe.flow.stage import Stage, StageContext
from kepipe.stages.artifacts import (
    Corpus,
    Evaluation,
    FineTuned,
    Graph,
    Linked,
    Model,
    Report,
    Shards,
    Vectors,
)


class ReportConfig(Section):
    """How the page is made."""

    title: str = ""
    """Name at the head of the page; empty: the pipeline's."""


@dataclass(frozen=True)
class ReportInputs:
    """What is reported; vectors, and models for tasks, where there are any."""

    graph: Graph
    corpus: Corpus
    linked: Linked
    shards: Shards
    arms: tuple[Model, ...]
    evaluation: Evaluation
    vectors: tuple[Vectors, ...] = ()
    tuned: tuple[FineTuned, ...] = ()


def report(inputs: ReportInputs, config: ReportConfig, context: StageContext) -> None:
    """Write `report.html`, `report.png` with the figures that decide, and `quiz.png` where the graph quiz was asked.

    Times and dates on the page are those recorded beside the inputs: it has none of its own.
    """
    from kepipe.probes.graph_quiz.presentation import NAME
    from kepipe.report import picture
    from kepipe.report.fine_tuned import task_panels
    from kepipe.report.page import render
    from kepipe.report.pipeline import build
    from kepipe.report.quiz_picture import draw_quiz
    from kepipe.report.wording import verdict

    with context.progress("drawing the page"):
        page = build(inputs, config.title)
        (context.out / "report.html").write_text(render(page), encoding="utf-8")
        scores = inputs.evaluation.scores()
        if panels := [*picture.of_probes(scores), *task_panels(inputs.tuned)]:
            picture.draw(panels, context.out / "report.png")
        if NAME in scores.details:
            draw_quiz(scores, context.out / "quiz.png")
    context.note(verdict(scores))


REPORT = Stage("report", 5, ReportInputs, ReportConfig, Report, report)
