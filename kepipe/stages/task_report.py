"""Stage `task-report`: scores and errors of fine-tuned models, as a self-contained page."""

from __future__ import annotations

from dataclasses import dataclass

from kepipe.config import Section
from kepipe.flow.stage import Stage, StageContext
from kepipe.stages.artifacts import FineTuned, Report


class TaskReportConfig(Section):
    """Settings of the page."""

    title: str = ""
    """Title of the page; empty: the pipeline's name."""


@dataclass(frozen=True)
class TaskReportInputs:
    """The models, all of one task; the predictions of the first two are compared."""

    models: tuple[FineTuned, ...]


def task_report(inputs: TaskReportInputs, config: TaskReportConfig, context: StageContext) -> None:
    """Write `report.html`. Raises ValueError for models of several tasks."""
    from kepipe.finetuning.fine_tuned import read_spec
    from kepipe.report.fine_tuned import build
    from kepipe.report.page import render

    tasks = sorted({read_spec(model.folder).task for model in inputs.models})
    if len(tasks) > 1:
        raise ValueError(
            f"the models have different tasks, {', '.join(tasks)}: choose those of one, "
            "`inputs: {models: [finetune]}`"
        )
    with context.progress("drawing the page"):
        page = build(inputs.models, config.title)
        (context.out / "report.html").write_text(render(page), encoding="utf-8")
    context.note(page.headline)


TASK_REPORT = Stage("task-report", 1, TaskReportInputs, TaskReportConfig, Report, task_report)
