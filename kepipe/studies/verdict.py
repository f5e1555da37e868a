"""The results of a study as sentences: a headline, one sentence per task, one phrase per comparison."""

from __future__ import annotations

from collections.abc import Sequence

from kepipe.studies.design import NAMES_ONLY, Design
from kepipe.studies.findings import Difference, Finding
from kepipe.studies.gains import Gain, gains, rivals


def headline(design: Design, deciding: Sequence[Finding]) -> str:
    """The headline: the answer of the only task, or the tasks in which any arm shows a gain."""
    if len(deciding) == 1 or not _tested(design):
        return answer(design, deciding[0], deciding)
    found = {finding.measure.stage: gains(design, finding, deciding) for finding in deciding}
    gained = [task for task, each in found.items() if any(gain.shown for gain in each)]
    others = [task for task in found if task not in gained]
    if all(map(nothing_learned, deciding)):
        return f"Nothing was learned in any of {len(deciding)} tasks: every arm has 0 with every seed."
    if not gained:
        close = [
            f" In {finding.measure.stage}, {_not_after_correction(finding, each, rivals(design))}"
            for finding in deciding
            if (each := found[finding.measure.stage])
        ]
        return f"No gain shown in any of {len(deciding)} tasks: {listed(others)}.{''.join(close)}"
    if not others:
        return f"A gain is shown in all {len(deciding)} tasks: {listed(gained)}."
    return f"A gain is shown in {len(gained)} of {len(deciding)} tasks: {listed(gained)}, not in {listed(others)}."


def answer(design: Design, finding: Finding, deciding: Sequence[Finding]) -> str:
    """The result of one task, by its deciding measure. `deciding`: the findings of all tasks, for which a gain is
    corrected."""
    tested, what, against = _tested(design), finding.measure.name, rivals(design)
    if not tested:
        return f"Only one arm was measured on {what}: there is no comparison."
    if nothing_learned(finding):
        return (
            f"Nothing was learned: every arm has {what} 0 with every seed, so there is no conclusion about the "
            "knowledge. Train longer, or use a metric on which these models score above 0."
        )
    found = gains(design, finding, deciding)
    if gained := [gain.arm for gain in found if gain.shown]:
        return f"A gain is shown: {listed(gained)} {_does(gained)} better than {listed(against)} on {what}."
    if found:
        return f"No gain shown on {what}: {_not_after_correction(finding, found, against)}"
    if len(tested) == 1 and tested[0] not in against:
        return _why_not(finding, tested[0], against, what)
    return f"No gain shown: no arm does better than {listed(against)} on {what}."


def _not_after_correction(finding: Finding, found: Sequence[Gain], against: Sequence[str]) -> str:
    """The means of arms whose gain is none after the correction."""
    arms = [f"{gain.arm} has {finding.of(gain.arm).mean.value:.3g}" for gain in found]
    others = [f"{finding.of(arm).mean.value:.3g} with {arm}" for arm in against]
    p = min(gain.p for gain in found)
    return (
        f"{listed(arms)} against {listed(others)}, but not after correction for {found[0].hypotheses} comparisons "
        f"(Holm's p {p:.2g})."
    )


def nothing_learned(finding: Finding) -> bool:
    """Whether every arm has the worst possible value with every seed: 0, in a measure where higher is better."""
    return finding.measure.better == "higher" and not any(any(values.by_seed) for values in finding.values)


def _names_help(finding: Finding, arm: str) -> bool:
    """Whether `names-only` shows a gain over the reference, and whether the arm is better than `names-only` is open."""
    against = {(d.first, d.second): d.answer for d in finding.differences}
    gained = any(first == NAMES_ONLY and answer == "gain" for (first, _), answer in against.items())
    return gained and against.get((arm, NAMES_ONLY)) in ("open", "same")


def _tested(design: Design) -> list[str]:
    """The arms under test; if all arms are controls, those that are not the reference."""
    return design.treatments() or [arm for arm in design.arms() if arm != design.reference]


def _why_not(finding: Finding, arm: str, against: Sequence[str], what: str) -> str:
    answers = {rival: finding.between(arm, rival).answer for rival in against}
    worse = [rival for rival in against if answers[rival] == "loss"]
    if worse:
        return f"No gain shown: {arm} does worse than {listed(worse)} on {what}."
    if set(answers.values()) == {"same"}:
        return f"No gain shown: {arm} and {listed(against)} have the same {what} with every seed."
    better = [rival for rival in against if answers[rival] == "gain"]
    open_to = [rival for rival in against if rival not in better]
    if better:
        names = (
            " The control names-only does better too: the names help, not the facts."
            if _names_help(finding, arm)
            else ""
        )
        return (
            f"No gain from the knowledge shown: {arm} does better than {listed(better)} on {what}, "
            f"but whether it does better than {listed(open_to)} is open.{names}"
        )
    return f"No gain shown: whether {arm} does better than {listed(open_to)} on {what} is open."


def explain(difference: Difference, one: bool) -> str:
    """The result of a comparison in a few words. `one`: whether a gain of this study is not corrected for others."""
    number = difference.mean.cases
    if difference.answer == "same":
        return "no difference with any seed"
    if difference.mean.low is None or difference.mean.high is None:
        return (
            "one seed: no interval, not shown"
            if number == 1
            else "the same difference with every seed: no interval"
        )
    if difference.answer == "open":
        reach = (difference.mean.high - difference.mean.low) / 2
        return f"not shown; {number} seeds cannot show a difference below {reach:.2g}"
    return f"{difference.answer} {'shown' if one else 'without correction'}"


def is_one(design: Design, deciding: Sequence[Finding]) -> bool:
    """Whether a study has a single arm under test in a single task, so that nothing is corrected."""
    return len(deciding) * len(design.treatments()) <= 1


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _does(names: Sequence[str]) -> str:
    return "does" if len(names) == 1 else "do"
