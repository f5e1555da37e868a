"""What a study shows, in words: one sentence that answers its question, and one for each comparison."""

from __future__ import annotations

from collections.abc import Sequence

from kepipe.study.design import Design
from kepipe.study.findings import Difference, Finding, helped


def headline(design: Design, deciding: Finding) -> str:
    """The answer, by the first measure: a gain counts only where it is one over the reference and every control."""
    tested, what = design.treatments(), deciding.measure.name
    if not tested:
        tested = [arm for arm in design.arms() if arm != design.reference]
    if not tested:
        return f"One arm was measured: {what} is known, and nothing is compared."
    rivals = list(dict.fromkeys((design.reference, *design.controls)))
    gained = [arm for arm in tested if arm not in rivals and helped(design, deciding, arm)]
    if gained:
        return f"A gain is shown: {listed(gained)} {_does(gained)} better than {listed(rivals)} on {what}."
    if len(tested) == 1 and tested[0] not in rivals:
        return _why_not(deciding, tested[0], rivals, what)
    return f"No gain shown: no arm does better than {listed(rivals)} on {what}."


def _why_not(deciding: Finding, arm: str, rivals: Sequence[str], what: str) -> str:
    answers = {rival: deciding.between(arm, rival).answer for rival in rivals}
    worse = [rival for rival, answer in answers.items() if answer == "loss"]
    if worse:
        return f"No gain shown: {arm} does worse than {listed(worse)} on {what}."
    if all(answer == "same" for answer in answers.values()):
        return f"No gain shown: {arm} and {listed(rivals)} reach the same {what} with every seed."
    better = [rival for rival, answer in answers.items() if answer == "gain"]
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
