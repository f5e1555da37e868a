"""Whether an arm's advantage over the reference is larger on the harder half of a test than on the easier one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from kepipe.studies.findings import Finding
from kepipe.studies.intervals import Estimate, mean_over_seeds
from kepipe.studies.significance import holm_adjusted, t_test


@dataclass(frozen=True)
class Growth:
    """The advantage over the reference on the harder half − that on the easier half: by seed, and the mean. `holm`: the
    p-value of the t test, corrected for all arms and tasks; None if the seeds do not differ."""

    by_seed: tuple[float, ...]
    mean: Estimate
    holm: float | None = None


@dataclass(frozen=True)
class ArmByHalves:
    """The means of an arm in a task on both halves. `growth`: None for the reference."""

    task: str
    arm: str
    easier: Estimate
    harder: Estimate
    growth: Growth | None = None


def pairs_of_halves(findings: Iterable[Finding], easier: str, harder: str) -> list[tuple[Finding, Finding]]:
    """Measures of both halves: `STAGE/SPLIT/easier/METRIC` with `STAGE/SPLIT/harder/METRIC`."""
    by_name = {finding.measure.name: finding for finding in findings}
    others = {name: name.replace(f"/{easier}/", f"/{harder}/") for name in by_name if f"/{easier}/" in name}
    return [(by_name[name], by_name[other]) for name, other in others.items() if other in by_name]


def by_halves(pairs: Iterable[tuple[Finding, Finding]], reference: str) -> tuple[ArmByHalves, ...]:
    """The arms of each task on both halves. `pairs`: measures of the easier and the harder half."""
    rows = [row for easier, harder in pairs for row in _rows(easier, harder, reference)]
    tests = {number: t_test(row.growth.by_seed) for number, row in enumerate(rows) if row.growth}
    adjusted = holm_adjusted({str(number): p for number, p in tests.items() if p is not None})
    return tuple(
        replace(row, growth=replace(row.growth, holm=adjusted.get(str(number)))) if row.growth else row
        for number, row in enumerate(rows)
    )


def _rows(lower: Finding, upper: Finding, reference: str) -> Iterator[ArmByHalves]:
    easier, harder = ({values.arm: values.mean for values in each.values} for each in (lower, upper))
    for arm in easier:
        if arm not in harder:
            continue
        growth = None
        if arm != reference and reference in easier and reference in harder:
            below, above = lower.between(arm, reference), upper.between(arm, reference)
            growth = _growth(lower.measure.sign, below.by_seed, above.by_seed)
        yield ArmByHalves(lower.measure.stage, arm, easier[arm], harder[arm], growth)


def _growth(sign: int, easier: Sequence[float], harder: Sequence[float]) -> Growth:
    by_seed = tuple(sign * (after - before) for before, after in zip(easier, harder, strict=True))
    return Growth(by_seed, mean_over_seeds(by_seed))
