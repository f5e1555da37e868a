"""Which arms show a gain, corrected for the number of arms and tasks in which a study could show one.

A gain of an arm in a task is one hypothesis: the arm is better than the reference and than every control. It is shown
only if each of these comparisons is, so its p-value is their largest, and the number of rivals needs no correction
(the intersection-union test, Berger 1982). The hypotheses of all arms and tasks are corrected with Holm's procedure:
the probability that any gain is announced where there is none is at most 5%. A study of one arm under test and one
task has one hypothesis, and no correction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kepipe.studies.design import Design
from kepipe.studies.findings import Finding, helped
from kepipe.studies.significance import LEVEL, holm_adjusted, t_test


@dataclass(frozen=True)
class Gain:
    """An arm that is better than the reference and every control in one task. `p`: corrected for the `hypotheses` of
    the study."""

    arm: str
    p: float
    hypotheses: int

    @property
    def shown(self) -> bool:
        """Whether it is one after the correction."""
        return self.hypotheses == 1 or self.p <= LEVEL


def gains(design: Design, finding: Finding, deciding: Sequence[Finding]) -> list[Gain]:
    """The arms that are better in a task, with and without the correction. `deciding`: the findings of all tasks, one
    for each."""
    arms = design.treatments()
    p_values = {
        f"{number} {arm}": _p(design, each, arm) for number, each in enumerate(deciding) for arm in arms
    }
    corrected, own = holm_adjusted(p_values), deciding.index(finding)
    return [
        Gain(arm, corrected[f"{own} {arm}"], len(p_values)) for arm in arms if helped(design, finding, arm)
    ]


def rivals(design: Design) -> list[str]:
    """The arms that a gain must be shown against: the reference and the controls."""
    return list(dict.fromkeys((design.reference, *design.controls)))


def _p(design: Design, finding: Finding, arm: str) -> float:
    """The largest p-value against a rival; 1 if the arm is not better than each, or that cannot be tested."""
    return max(_against(finding, arm, rival) for rival in rivals(design))


def _against(finding: Finding, arm: str, rival: str) -> float:
    difference = finding.between(arm, rival)
    better = finding.measure.sign * difference.mean.value > 0
    p = t_test(difference.by_seed) if better else None
    return 1.0 if p is None else p
