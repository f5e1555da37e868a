"""The page of `kepipe few-shot`: accuracy by the number of examples, and by model size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from kepipe.report import charts
from kepipe.report.page import Fact, Figure, Page, Section, Table
from kepipe.report.wording import cell, plain
from kepipe.studies.intervals import Estimate


@dataclass(frozen=True)
class FewShotRun:
    """The results of a model: number of solved examples → share of right answers, and → the task's own metrics. `size`:
    number of parameters; None: unknown."""

    arm: str
    size: int | None
    right: Mapping[int, Estimate]
    metrics: Mapping[int, Mapping[str, Estimate]]


def few_shot_page(
    task: str, questions: int, chance: str, runs: Sequence[FewShotRun], *, calibrated: bool
) -> Page:
    """The page. `chance`: the accuracy of guessing, in words."""
    best = max(
        ((estimate.value, run.arm, shots) for run in runs for shots, estimate in run.right.items()),
        key=lambda found: (found[0], -found[2]),
    )
    how = "calibrated" if calibrated else "not calibrated"
    return Page(
        title=f"{task}: few-shot",
        kicker="Few-shot",
        headline=f"{task}: {plain(best[0])} right at best, by {best[1]} with {best[2]} examples",
        lead=f"{questions:,} questions for {len(runs)} models, {chance}; answers are {how}.",
        facts=tuple(
            Fact(run.arm, "–" if run.size is None else f"{run.size:,}", "parameters", series=number)
            for number, run in enumerate(runs)
        ),
        sections=(
            Section("examples", "Accuracy by number of examples", (_by_examples(runs), _table(runs))),
            *_by_size(runs),
            *_metrics(runs),
        ),
    )


def _by_examples(runs: Sequence[FewShotRun]) -> Figure:
    lines = {run.arm: (list(run.right), [estimate.value for estimate in run.right.values()]) for run in runs}
    return Figure(
        charts.curves(lines, "solved examples in the prompt", "share of right answers"),
        "Share of right answers by the number of solved examples in the prompt.",
    )


def _table(runs: Sequence[FewShotRun]) -> Table:
    shots = list(runs[0].right)
    rows = tuple((run.arm, *(cell(run.right[number]) for number in shots)) for run in runs)
    head = ("Model", *(f"{number} examples" for number in shots))
    return Table(head, rows, "Share of right answers, with Wilson's 95% interval", tuple(range(1, len(head))))


def _by_size(runs: Sequence[FewShotRun]) -> Iterator[Section]:
    """A figure by model size, if at least two models state their size."""
    sized = sorted(
        ((run.size, run.right) for run in runs if run.size is not None), key=lambda found: found[0]
    )
    if len({size for size, _ in sized}) < 2:
        return
    lines = {
        f"{number} examples": ([size for size, _ in sized], [right[number].value for _, right in sized])
        for number in runs[0].right
    }
    caption = "The same by number of parameters; for n-gram models, the number of probabilities and weights."
    figure = Figure(charts.curves(lines, "parameters", "share of right answers", log_x=True), caption)
    yield Section("size", "Accuracy by model size", (figure,))


def _metrics(runs: Sequence[FewShotRun]) -> Iterator[Section]:
    """The metrics of a task of the table, comparable with those of fine-tuned models."""
    names = list(next(iter(runs[0].metrics.values())))
    if not names:
        return
    rows = tuple(
        (run.arm, number, *(cell(estimates[name]) for name in names))
        for run in runs
        for number, estimates in run.metrics.items()
    )
    head = ("Model", "Examples", *names)
    caption = "The task's own metrics, as for fine-tuned models"
    yield Section("metrics", "Metrics", (Table(head, rows, caption, tuple(range(1, len(head)))),))
