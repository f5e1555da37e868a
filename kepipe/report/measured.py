"""Sections of the page of results for what was measured outside of studies."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

from kepipe.probes.table import rows as probe_rows
from kepipe.report.page import Code, Section, Table, Text
from kepipe.report.wording import plain, signed
from kepipe.studies.all_results import Benchmark
from kepipe.studies.costs import Cost
from kepipe.studies.intervals import Estimate
from kepipe.studies.scores import Metrics
from kepipe.studies.stage_scores import StageScores

HEAD = (
    "Stage", "Model", "measured", "metric", "value", "95% interval", "cases", "processor s", "peak MB", "parameters",
)  # fmt: skip
READING = (
    "One training each: intervals are over the cases and do not cover other seeds. Costs are those of the stage that "
    "made the model, without what it started from."
)


def sections(scores: Sequence[StageScores], studied: Sequence[str]) -> Iterator[Section]:
    """A section for each pipeline. `studied`: pipelines that have a section of a study already."""
    for number, (pipeline, found) in enumerate(groupby(scores, lambda each: each.pipeline)):
        lines = tuple(line for each in found for line in _rows(each))
        title = f"{pipeline}, outside of the study" if pipeline in studied else pipeline
        table = Table(HEAD, lines, numbers=tuple(range(4, len(HEAD))))
        yield Section(f"scores-{number}", title, (Text(READING, quiet=True), table))


def benchmark_sections(benchmarks: Sequence[Benchmark]) -> Iterator[Section]:
    """A section for each table of a benchmark."""
    for number, each in enumerate(benchmarks):
        table = Table(each.head, each.rows, numbers=tuple(range(1, len(each.head))))
        yield Section(f"benchmark-{number}", each.title, (Code(each.command), table))


def _rows(each: StageScores) -> Iterator[tuple[str, ...]]:
    """The arms, each with its cost in its first line, then the differences of arms."""
    for arm, measured in each.scores.arms.items():
        costs = cost_cells(each.costs.get(arm))
        for name, metric, score in _shown(measured):
            values = (plain(score.value), interval(score, plain), f"{score.cases:,}")
            yield (each.stage, arm, name, metric, *values, *costs)
            costs = ("", "", "")
    for difference in each.scores.differences:
        for name, metric, score in _shown(difference.scores):
            values = (signed(score.value), interval(score, signed), f"{score.cases:,}")
            yield (each.stage, difference.name, name, metric, *values, "", "", "")


def _shown(measured: Mapping[str, Metrics]) -> Iterator[tuple[str, str, Estimate]]:
    """The metrics to show: of a probe those of its own report, of a task all."""
    probes = {name: row.presentation.metrics for name, row in probe_rows()}
    for name, metrics in measured.items():
        for metric, score in metrics.items():
            if metric in probes.get(name, metrics):
                yield name, metric, score


def interval(mean: Estimate, show: Callable[[float], str]) -> str:
    """The 95% interval in a cell of its own."""
    return "–" if mean.low is None or mean.high is None else f"{show(mean.low)} to {show(mean.high)}"


def cost_cells(cost: Cost | None) -> tuple[str, str, str]:
    """Processor seconds, peak megabytes, parameters."""
    if cost is None:
        return "–", "–", "–"
    seconds = "–" if cost.processor_seconds is None else f"{cost.processor_seconds:,.0f}"
    memory = f"{cost.memory:,.0f}" if cost.memory else "–"
    return seconds, memory, f"{cost.parameters:,}" if cost.parameters else "–"
