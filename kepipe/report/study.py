"""The page of a study: conclusion, arms with all seeds, paired differences, common conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kepipe.flow.artifact import Artifact
from kepipe.report import charts, halves, tasks
from kepipe.report.arms import bracketed, interval_text, pair, series, swatch, titled
from kepipe.report.markup import fill
from kepipe.report.page import Block, Fact, Figure, Page, Section, Table, Text
from kepipe.report.running import record
from kepipe.report.wording import plain, signed
from kepipe.studies.compare import Comparison
from kepipe.studies.design import Design
from kepipe.studies.findings import Difference, Finding
from kepipe.studies.significance import detectable, paired_tests
from kepipe.studies.verdict import explain, headline, is_one, listed


def build(design: Design, comparison: Comparison, results: Sequence[Artifact]) -> Page:
    """The page. It has no creation time, so that equal results give an equal page."""
    deciding = comparison.deciding(design)
    several = len(deciding) > 1
    sections = [tasks.section(design, deciding)] if several else []
    if by_halves := tuple(halves.blocks(comparison.findings, design.reference)):
        sections.append(Section("halves", "The easier and the harder half of the test", by_halves))
    sections += [
        _measure(design, finding, number, deciding) for number, finding in enumerate(comparison.findings)
    ]
    sections += [_arms(design), _conditions(design, comparison), _reading(design, comparison)]
    recorded = (run for run in map(record, results) if "pipeline" in run)
    name = next((str(run["pipeline"]) for run in recorded), "study")
    return Page(
        title=f"{name}: study",
        kicker=f"{name}, study",
        headline=headline(design, deciding),
        lead=tasks.lead(design, deciding) if several else _lead(design, deciding[0]),
        facts=tasks.facts(design, deciding) if several else _facts(design, deciding[0]),
        sections=tuple(sections),
        footer=f"Made by kepipe from {len(results)} results.",
    )


def _lead(design: Design, deciding: Finding) -> str:
    """The figures behind the conclusion: the first treatment, compared with the reference and each control."""
    number, measure = len(design.seeds()), deciding.measure
    opening = (
        f"{measure.name} decides, {measure.better} is better; {number} {'seed' if number == 1 else 'seeds'}."
    )
    arm = next(iter(design.treatments()), None)
    if arm is None:
        return opening
    against = [deciding.between(arm, rival) for rival in dict.fromkeys((design.reference, *design.controls))]
    differences = [
        f"{plain(deciding.of(d.second).mean.value)} with {d.second}, a difference of {signed(d.mean.value)}"
        f"{bracketed(d.mean)}"
        for d in against
    ]
    return f"{opening} The mean is {plain(deciding.of(arm).mean.value)} with {arm}, {listed(differences)}."


def _facts(design: Design, deciding: Finding) -> tuple[Fact, ...]:
    return tuple(
        Fact(titled(design, v.arm), plain(v.mean.value), interval_text(v.mean), series(design, v.arm))
        for v in deciding.values
    )


def _measure(design: Design, finding: Finding, number: int, deciding: Sequence[Finding]) -> Section:
    """A measure: a figure of the arms, one of the differences, and both as tables."""
    measure = finding.measure
    colors = [series(design, v.arm) for v in finding.values]
    arms = {titled(design, v.arm): (v.by_seed, v.mean) for v in finding.values}
    lacking = finding.lacking(design)
    blocks: list[Block] = [
        *([Text(f"Missing in {listed(lacking)}.")] if lacking else []),
        Figure(
            charts.strips(arms, f"{measure.metric}, {measure.better} is better", colors),
            "A ring is one seed, the dot their mean, the line its 95% interval.",
        ),
    ]
    if finding.differences:
        apart = {pair(d): (d.by_seed, d.mean) for d in finding.differences}
        blocks.append(
            Figure(
                charts.strips(
                    apart,
                    "difference, seed by seed",
                    [series(design, d.first) for d in finding.differences],
                    zero=True,
                ),
                "Paired by seed: both arms of a pair had the same data in the same order. An interval that includes 0 "
                "shows no difference.",
            )
        )
    blocks.append(_values(design, finding))
    if finding.differences:
        blocks.append(_differences(finding, is_one(design, deciding)))
    title = f"{measure.name}, which decides" if finding in deciding else measure.name
    return Section(f"measure-{number}", title, tuple(blocks))


def _values(design: Design, finding: Finding) -> Table:
    rows = tuple(
        (
            swatch(design, v.arm),
            plain(v.mean.value),
            interval_text(v.mean),
            *(plain(value) for value in v.by_seed),
        )
        for v in finding.values
    )
    head = ("Arm", "mean", "95% interval", *(f"seed {seed}" for seed in design.seeds()))
    return Table(head, rows, numbers=tuple(range(1, len(head))))


def _differences(finding: Finding, one: bool) -> Table:
    adjusted = finding.holm()
    rows = tuple(
        (
            pair(d),
            signed(d.mean.value),
            interval_text(d.mean, sign=True),
            *_p_values(d, adjusted),
            _outcome(d, one),
        )
        for d in finding.differences
    )
    head = ("Difference", "mean", "95% interval", "p, t", "Holm", "permuted", "Wilcoxon", "what it shows")
    return Table(head, rows, numbers=tuple(range(1, 7)))


def _p_values(difference: Difference, adjusted: Mapping[tuple[str, str], float]) -> tuple[str, ...]:
    tests = paired_tests(difference.by_seed)
    corrected = adjusted.get((difference.first, difference.second))
    values = (tests.t, corrected, tests.permutation, tests.wilcoxon)
    return tuple("–" if value is None else f"{value:.2g}" for value in values)


def _outcome(difference: Difference, one: bool) -> Any:
    text = explain(difference, one)
    return fill("<strong>{}</strong>", text) if difference.answer in ("gain", "loss") else text


def _arms(design: Design) -> Section:
    """What each arm changes in the pipeline."""
    rows = []
    for arm in design.arms():
        changes = design.changes.get(arm, {})
        settings = "; ".join(f"{name}: {value}" for name, value in changes.items())
        role = [
            word
            for word, holds in (("reference", arm == design.reference), ("control", arm in design.controls))
            if holds
        ]
        rows.append(
            (
                swatch(design, arm),
                ", ".join(role) or "treatment",
                settings or "the unchanged pipeline",
            )
        )
    return Section("arms", "The arms", (Table(("Arm", "Role", "Differs from the pipeline in"), tuple(rows)),))


def _conditions(design: Design, comparison: Comparison) -> Section:
    """Conditions that were verified to be equal for all arms."""
    names = list(dict.fromkeys(name for conditions in comparison.conditions.values() for name in conditions))
    rows = tuple(
        (stage, *(_condition(conditions.get(name)) for name in names))
        for stage, conditions in comparison.conditions.items()
        if conditions
    )
    blocks: list[Block] = [
        Text(
            "For each seed, all arms share these conditions. They are read from the models' own records; "
            "a study whose arms differ in one of them is rejected."
        ),
        Table(("Stage", *names), rows) if rows else Text("No stage of the study trains a model.", quiet=True),
    ]
    if design.may_differ:
        blocks.append(Text(f"The arms may differ in {listed(list(design.may_differ))}.", quiet=True))
    return Section("conditions", "What all arms share", tuple(blocks))


def _reading(design: Design, comparison: Comparison) -> Section:
    """How to interpret the intervals."""
    number = len(design.seeds())
    pairs = sum(len(finding.differences) for finding in comparison.findings)
    return Section(
        "reading",
        "How to read the intervals",
        (
            Text(
                f"Intervals are Student's t over {number} seeds: they predict the result of training with other seeds "
                "on the same data and the same test set, but not the result on another test set. With few "
                "seeds they are wide: ± 2.5 standard deviations with 3 seeds, ± 1.2 with 5, ± 0.7 with 10."
            ),
            Text(
                f"The page has {pairs} comparisons, each at 95%: of twenty without any difference, one shows one by "
                f"chance. {_named_before(design, comparison.deciding(design))}"
            ),
            Text(
                "p-values are given for the t test, uncorrected and with Holm's correction over all comparisons of a "
                "measure; and for the paired permutation test and Wilcoxon's test, which do not assume a normal "
                f"distribution, and with {number} seeds are never below {2 ** (1 - number):.2g}. "
                f"{_power(number)}"
            ),
        ),
    )


def _power(number: int) -> str:
    """The statistical power with this number of seeds."""
    if number < 2:
        return ""
    return (
        f"The t test shows a difference of {detectable(number):.1f} standard deviations between seeds in four of five "
        "studies, and smaller ones less often."
    )


def _named_before(design: Design, deciding: Sequence[Finding]) -> str:
    """Which measures decide, and for what a gain is corrected."""
    arms, tasks = len(design.treatments()), len(deciding)
    opening = (
        "The first measure was declared in advance as the deciding one; the others are secondary."
        if tasks == 1
        else f"The first measure of each task was declared in advance as the deciding one. There are {tasks} tasks."
    )
    if is_one(design, deciding):
        return opening
    return (
        f"{opening} The conclusion is corrected (Holm) for {arms * tasks} possible gains, of {arms} "
        f"{'arm' if arms == 1 else 'arms'} under test in {tasks} {'task' if tasks == 1 else 'tasks'}."
    )


def _condition(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, dict):
        return ", ".join(_condition(inner) for inner in value.values())
    text = str(value)
    return text[:12] if len(text) > 24 else text
