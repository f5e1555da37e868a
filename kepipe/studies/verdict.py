"""What a study shows, in words: a sentence that answers its question, one for each task, one for each comparison."""

from __future__ import annotations

from collections.abc import Sequence

from kepipe.studies.design import Design
from kepipe.studies.findings import Difference, Finding, helped


def headline(design: Design, deciding: Sequence[Finding]) -> str:
    """The answer: that of the one task, or in which of several a gain is shown, whichever arm it is that gains."""
    if len(deciding) == 1 or not _tested(design):
        return answer(design, deciding[0])
    gained = [finding.measure.stage for finding in deciding if gains(design, finding)]
    others = [finding.measure.stage for finding in deciding if finding.measure.stage not in gained]
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
    gained = gains(design, finding)
    if gained:
        return f"A gain is shown: {listed(gained)} {_does(gained)} better than {listed(rivals)} on {what}."
    if len(tested) == 1 and tested[0] not in rivals:
        return _why_not(finding, tested[0], rivals, what)
    return f"No gain shown: no arm does better than {listed(rivals)} on {what}."


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
        return (
            f"No gain from the knowledge shown: {arm} does better than {listed(better)} on {what}, "
            f"but not surely better than {listed(open_to)}."
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
