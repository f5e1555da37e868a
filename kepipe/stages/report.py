"""Stage `report`: everything the stages before it found, as one self-contained page."""

from __future__ import annotations

from dataclasses import dataclass

from kepipe.config import Section
from kepipe.flow.stage import Stage, StageContext
from kepipe.stages.artifacts import Corpus, Evaluation, Graph, Linked, Model, Report, Shards, Vectors


class ReportConfig(Section):
    """How the page is made."""

    title: str = ""
    """Name at the head of the page; empty: the pipeline's."""


@dataclass(frozen=True)
class ReportInputs:
    """What is reported."""

    graph: Graph
    corpus: Corpus
    linked: Linked
    shards: Shards
    vectors: tuple[Vectors, ...]
    arms: tuple[Model, ...]
    evaluation: Evaluation


def report(inputs: ReportInputs, config: ReportConfig, context: StageContext) -> None:
    """Write `report.html`. Times and dates on it are those recorded beside the inputs: the page has none of its own."""
    from kepipe.report.page import render
    from kepipe.report.pipeline import build
    from kepipe.report.wording import verdict

    with context.progress("drawing the page"):
        page = build(inputs, config.title)
        (context.out / "report.html").write_text(render(page), encoding="utf-8")
    context.note(verdict(inputs.evaluation.scores()))


REPORT = Stage("report", 3, ReportInputs, ReportConfig, Report, report)
