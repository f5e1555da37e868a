"""Stage `report`: the results of all upstream stages as a self-contained page."""

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
    """Settings of the page."""

    title: str = ""
    """Title of the page; empty: the pipeline's name."""


@dataclass(frozen=True)
class ReportInputs:
    """The results to report; vectors and fine-tuned models are optional."""

    graph: Graph
    corpus: Corpus
    linked: Linked
    shards: Shards
    arms: tuple[Model, ...]
    evaluation: Evaluation
    vectors: tuple[Vectors, ...] = ()
    tuned: tuple[FineTuned, ...] = ()


def report(inputs: ReportInputs, config: ReportConfig, context: StageContext) -> None:
    """Write `report.html`, `report.png` with the main metrics, and `quiz.png` if the graph quiz was evaluated.

    Times and dates on the page are those recorded for the inputs, so that the page is reproducible.
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
