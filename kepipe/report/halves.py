"""Arms on the easier and the harder half of a test, by each property that divides it (`slices` of a fine-tuning)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kepipe.finetuning.slices import PROPERTIES, Property
from kepipe.report.arms import interval_text
from kepipe.report.page import Block, Table, Text
from kepipe.report.wording import plain, signed
from kepipe.studies.findings import Finding
from kepipe.studies.halves import ArmByHalves, Growth, by_halves, pairs_of_halves
from kepipe.studies.intervals import Estimate
from kepipe.studies.significance import LEVEL
from kepipe.studies.verdict import listed


def measures(findings: Sequence[Finding]) -> set[str]:
    """Names of the measures that the tables of `blocks` have."""
    pairs = [pair for row in PROPERTIES.values() for pair in pairs_of_halves(findings, row.lower, row.upper)]
    return {finding.measure.name for pair in pairs for finding in pair}


def blocks(findings: Sequence[Finding], reference: str) -> Iterator[Block]:
    """For each property: what the study shows about it, and a table of all arms and tasks."""
    for name, row in PROPERTIES.items():
        rows = by_halves(pairs_of_halves(findings, row.lower, row.upper), reference)
        if rows:
            yield Text(_answer(name, row, rows, reference))
            yield _table(row, rows, reference)


def _answer(name: str, row: Property, rows: Sequence[ArmByHalves], reference: str) -> str:
    """The conclusion: where the advantage differs between the halves, after the correction and without it."""
    known = [(each, each.growth) for each in rows if each.growth]
    opening = f"By {name}:"
    if not known:
        return f"{opening} there is no arm besides {reference}."
    question = (
        f"is an arm's advantage over {reference} larger on the {row.upper} half of the test than on the "
        f"{row.lower} one?"
    )
    larger, smaller = (
        [(each, growth) for each, growth in known if _shown(growth) == sign] for sign in (1, -1)
    )
    parts = [f"larger for {_named(larger)}"] if larger else []
    parts += [f"smaller for {_named(smaller)}"] if smaller else []
    if not parts:
        return f"{opening} {question} Not shown: of {_counted(known)}, no 95% interval is on one side of 0."
    corrected = [(each, growth) for each, growth in known if growth.holm is not None and growth.holm <= LEVEL]
    after = f"{_named(corrected)} also" if corrected else "none of them"
    return (
        f"{opening} {question} By its 95% interval it is {'; '.join(parts)}. After Holm's correction for "
        f"{_counted(known)}: {after}."
    )


def _counted(known: Sequence[object]) -> str:
    return f"{len(known)} {'difference' if len(known) == 1 else 'differences'} of differences"


def _shown(growth: Growth) -> int:
    return (1 if growth.mean.value > 0 else -1) if growth.mean.excludes_zero else 0


def _named(some: Sequence[tuple[ArmByHalves, Growth]]) -> str:
    return listed([f"{each.arm} in {each.task} ({signed(growth.mean.value)})" for each, growth in some])


def _table(row: Property, rows: Sequence[ArmByHalves], reference: str) -> Table:
    head = (
        "Task",
        "Arm",
        row.lower,
        row.upper,
        f"advantage over {reference}, {row.upper} − {row.lower}",
        "95% interval",
        "p, Holm",
    )
    cells = tuple(
        (each.task, each.arm, _cell(each.easier), _cell(each.harder), *_growth_cells(each.growth))
        for each in rows
    )
    return Table(head, cells, "Means over the seeds with 95% intervals.", numbers=(2, 3, 4, 5, 6))


def _cell(mean: Estimate) -> str:
    return f"{plain(mean.value)} ({interval_text(mean)})"


def _growth_cells(growth: Growth | None) -> tuple[str, str, str]:
    if growth is None:
        return "", "", ""
    p_value = "–" if growth.holm is None else f"{growth.holm:.2g}"
    return signed(growth.mean.value), interval_text(growth.mean, sign=True), p_value
