"""Overview of a study with several tasks: conclusions, arms by task, differences."""

from __future__ import annotations

from collections.abc import Sequence

from kepipe.report import charts
from kepipe.report.arms import interval_text, pair, series, swatch
from kepipe.report.learning_curve import curve
from kepipe.report.markup import Markup, fill
from kepipe.report.page import Block, Fact, Figure, Section, Table
from kepipe.report.wording import plain, signed
from kepipe.studies.design import Design
from kepipe.studies.findings import Difference, Finding, Values
from kepipe.studies.verdict import answer, listed


def lead(design: Design, deciding: Sequence[Finding]) -> str:
    """Which measures decide."""
    number = len(design.seeds())
    measures = listed([finding.measure.name for finding in deciding])
    return (
        f"The first measure of each task decides: {measures}; {number} {'seed' if number == 1 else 'seeds'}."
    )


def facts(design: Design, deciding: Sequence[Finding]) -> tuple[Fact, ...]:
    """For each task, the difference of the first treatment from the reference; empty if there is none."""
    arm = next(iter(design.treatments()), None)
    if arm is None:
        return ()
    apart = [(finding.measure.stage, finding.between(arm, design.reference)) for finding in deciding]
    return tuple(
        Fact(
            f"{task}: {pair(d)}", signed(d.mean.value), interval_text(d.mean, sign=True), series(design, arm)
        )
        for task, d in apart
    )


def section(design: Design, deciding: Sequence[Finding]) -> Section:
    """The conclusion for each task, the arms by task, and a figure of the deciding differences."""
    answers = tuple((finding.measure.stage, answer(design, finding, deciding)) for finding in deciding)
    blocks: list[Block] = [Table(("Task", "Conclusion"), answers)]
    apart = {
        f"{finding.measure.stage}: {pair(d)}": d for finding in deciding for d in _counting(design, finding)
    }
    if (
        apart and len({finding.measure.better for finding in deciding}) == 1
    ):  # otherwise the direction has two meanings
        drawing = charts.strips(
            {name: (d.by_seed, d.mean) for name, d in apart.items()},
            f"difference, {deciding[0].measure.better} is better",
            [series(design, d.first) for d in apart.values()],
            zero=True,
        )
        blocks.append(Figure(drawing, "A ring is one seed, the dot their mean, the line its 95% interval."))
    rising = curve(
        {finding.measure.stage: {v.arm: v.mean for v in finding.values} for finding in deciding},
        f"{deciding[0].measure.metric}, {deciding[0].measure.better} is better",
        design.arms(),
    )
    if rising is not None:
        blocks.append(rising)
    differences = tuple(
        (name, signed(d.mean.value), interval_text(d.mean, sign=True)) for name, d in apart.items()
    )
    if differences:
        head = ("Difference", "mean", "95% interval")
        blocks.append(Table(head, differences, numbers=(1, 2), beside=len(blocks) > 1))
    columns = ("Arm", *(f"{finding.measure.stage}, {finding.measure.metric}" for finding in deciding))
    means = tuple(
        (swatch(design, arm), *(_reached(finding.of(arm)) for finding in deciding)) for arm in design.arms()
    )
    blocks.append(Table(columns, means, caption="Mean over the seeds and its 95% interval."))
    return Section("tasks", "The tasks", tuple(blocks))


def _counting(design: Design, finding: Finding) -> list[Difference]:
    """The differences on which a conclusion is based: those of the treatments."""
    return [d for d in finding.differences if d.first in design.treatments()]


def _reached(values: Values) -> Markup:
    return fill('{} <span class="interval">{}</span>', plain(values.mean.value), interval_text(values.mean))
