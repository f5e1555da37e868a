"""What a study shows, in words: a sentence that answers its question, one for each task, one for each comparison."""

from __future__ import annotations

from collections.abc import Sequence

from kepipe.studies.design import NAMES_ONLY, Design
from kepipe.studies.findings import Difference, Finding, helped


def headline(design: Design, deciding: Sequence[Finding]) -> str:
    """The answer: that of the one task, or in which of several a gain is shown, whichever arm it is that gains."""
    if len(deciding) == 1 or not _tested(design):
        return answer(design, deciding[0])
    gained = [finding.measure.stage for finding in deciding if gains(design, finding)]
    others = [finding.measure.stage for finding in deciding if finding.measure.stage not in gained]
    if all(map(nothing_learned, deciding)):
        return f"Nothing was learned in any of {len(deciding)} tasks: every arm has 0 with every seed."
    if not gained:
        return f"No gain shown in any of {len(deciding)} tasks: {listed(others)}."
    if not others:
        return f"A gain is shown in all {len(deciding)} tasks: {listed(gained)}."
    return f"A gain is shown in {len(gained)} of {len(deciding)} tasks: {listed(gained)}, not in {listed(others)}."


def gains(design: Design, finding: Finding) -> list[str]:
    """The arms that show a gain: one over the reference and every control."""
    rivals = _rivals(design)
    return [arm for arm in _tested(design) if arm not in rivals and helped(design, finding, arm)]


def answer(design: Design, finding: Finding) -> str:
    """What one task's deciding measure says."""
    tested, what, rivals = _tested(design), finding.measure.name, _rivals(design)
    if not tested:
        return f"One arm was measured: {what} is known, and nothing is compared."
    if nothing_learned(finding):
        return (
            f"Nothing was learned: every arm has {what} 0 with every seed, so that nothing is said of the knowledge. "
            "Train longer, or measure what can be reached."
        )
    gained = gains(design, finding)
    if gained:
        return f"A gain is shown: {listed(gained)} {_does(gained)} better than {listed(rivals)} on {what}."
    if len(tested) == 1 and tested[0] not in rivals:
        return _why_not(finding, tested[0], rivals, what)
    return f"No gain shown: no arm does better than {listed(rivals)} on {what}."


def nothing_learned(finding: Finding) -> bool:
    """Whether every arm has the worst value there can be with every seed: 0, of a measure of which more is better."""
    return finding.measure.better == "higher" and not any(any(values.by_seed) for values in finding.values)


def _names_help(finding: Finding, arm: str) -> bool:
    """Whether the control of which entities are marked and nothing is told does better than the reference, and the arm
    not surely better than it."""
    against = {(d.first, d.second): d.answer for d in finding.differences}
    gained = any(first == NAMES_ONLY and answer == "gain" for (first, _), answer in against.items())
    return gained and against.get((arm, NAMES_ONLY)) in ("open", "same")


def _tested(design: Design) -> list[str]:
    """The arms put to the test; where all are controls, those that are not the reference."""
    return design.treatments() or [arm for arm in design.arms() if arm != design.reference]


def _rivals(design: Design) -> list[str]:
    """What a gain has to be one over."""
    return list(dict.fromkeys((design.reference, *design.controls)))


def _why_not(finding: Finding, arm: str, rivals: Sequence[str], what: str) -> str:
    answers = {rival: finding.between(arm, rival).answer for rival in rivals}
    worse = [rival for rival in rivals if answers[rival] == "loss"]
    if worse:
        return f"No gain shown: {arm} does worse than {listed(worse)} on {what}."
    if set(answers.values()) == {"same"}:
        return f"No gain shown: {arm} and {listed(rivals)} reach the same {what} with every seed."
    better = [rival for rival in rivals if answers[rival] == "gain"]
    open_to = [rival for rival in rivals if rival not in better]
    if better:
        names = (
            " Names alone do better too: it is these that help, no facts."
            if _names_help(finding, arm)
            else ""
        )
        return (
            f"No gain from the knowledge shown: {arm} does better than {listed(better)} on {what}, "
            f"but not surely better than {listed(open_to)}.{names}"
        )
    return f"No gain shown: whether {arm} does better than {listed(open_to)} on {what} stays open."


def explain(difference: Difference) -> str:
    """A comparison's outcome in a few words."""
    number = difference.mean.cases
    if difference.answer == "same":
        return "no difference with any seed"
    if difference.mean.low is None or difference.mean.high is None:
        return "one seed: no interval, not shown" if number == 1 else "the same with every seed: no interval"
    if difference.answer == "open":
        reach = (difference.mean.high - difference.mean.low) / 2
        return f"not shown; {number} seeds could not show less than {reach:.2g}"
    return "gain shown" if difference.answer == "gain" else "loss shown"


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _does(names: Sequence[str]) -> str:
    return "does" if len(names) == 1 else "do"
