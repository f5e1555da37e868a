"""Numbers and comparisons as text."""

from __future__ import annotations

from kepipe.probes.presentation import Presentation, Verdict
from kepipe.probes.table import rows
from kepipe.report.markup import Markup, fill
from kepipe.studies.intervals import Estimate
from kepipe.studies.scores import Difference, Metrics, Scores


def plain(value: float) -> str:
    """0.0003, 0.312, 12.3, 1,234."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    if 0 < abs(value) < 0.001:
        return f"{value:.1g}"
    return f"{value:.3f}" if abs(value) < 10 else f"{value:.1f}"


def signed(value: float) -> str:
    """+0.031, −0.004: with the typographic minus."""
    return f"{value:+.3f}".replace("-", "−")


def between(score: Estimate, sign: bool = False) -> str:
    """The 95% interval, or the reason why there is none."""
    if score.low is None or score.high is None:
        return f"no interval: {score.clusters} independent cases"
    low, high = (signed(end) if sign else plain(end) for end in (score.low, score.high))
    return f"{low} to {high}"


def cell(score: Estimate, sign: bool = False) -> Markup:
    """A value with its interval in small type, for a table."""
    value = signed(score.value) if sign else plain(score.value)
    return fill('{} <span class="interval">{}</span>', value, between(score, sign))


def swatch(name: str, number: int) -> Markup:
    """An arm's name after a dot of its colour."""
    return fill('<span class="swatch" style="--mark: var(--series-{})"></span>{}', number, name)


def pair(scores: Scores) -> Difference | None:
    """The difference between the first arm and its control."""
    return next(iter(scores.differences), None)


def verdict(scores: Scores) -> str:
    """Whether the first arm is better than its control, by the first deciding probe."""
    difference = pair(scores)
    if difference is None:
        return _alone(scores)
    deciding = _deciding(difference)
    if deciding is None:
        titles = [row.presentation.title.lower() for probe, row in rows() if probe in difference.scores]
        return (
            f"{difference.first} and {difference.second} were compared by their {' and '.join(titles)} only."
        )
    presentation, question, metrics = deciding
    return _answer(difference, presentation, question, metrics[presentation.deciding])


def _answer(difference: Difference, presentation: Presentation, question: Verdict, apart: Estimate) -> str:
    first, second = difference.first, difference.second
    if apart.low is None:
        return (
            f"Not enough held-out text: {apart.clusters} documents have {presentation.cases}, and an interval "
            "needs five. Increase `held_out`."
        )
    if not apart.excludes_zero:
        return f"No difference is shown: it is open whether {first} {question.ability} better than {second}."
    better = (apart.value > 0) == (presentation.better == "higher")
    unit = "" if any(question.outcome) else f": {signed(apart.value)} {presentation.unit}"
    word, opening = ("better", question.outcome[0]) if better else ("worse", question.outcome[1])
    return f"{opening}{first} {question.ability} {word} than {second}{unit}."


def _deciding(difference: Difference) -> tuple[Presentation, Verdict, Metrics] | None:
    """The presentation, the verdict and the differences of the first probe that both arms answered and that has a
    verdict."""
    for probe, row in rows():
        metrics, question = difference.scores.get(probe, {}), row.presentation.verdict
        if question is not None and row.presentation.deciding in metrics:
            return row.presentation, question, metrics
    return None


def _alone(scores: Scores) -> str:
    """The headline for a single model."""
    (arm, *others) = scores.arms
    if others:
        return f"{' and '.join([arm, *others])} were evaluated by different probes and are not comparable."
    for probe, row in rows():
        if row.presentation.alone and probe in scores.arms[arm]:
            values = {name: plain(score.value) for name, score in scores.arms[arm][probe].items()}
            return row.presentation.alone.format(arm=arm, **values)
    return "One model was evaluated, without a control: the effect of its knowledge is unknown."


def explanation(scores: Scores) -> str:
    """The values behind the verdict, and the score of the baseline that ignores the sentence."""
    difference = pair(scores)
    deciding = None if difference is None else _deciding(difference)
    if difference is None or deciding is None or not deciding[1].explanation:
        return ""
    presentation, question, metrics = deciding
    probe = next(name for name, row in rows() if row.presentation is presentation)
    arms, metric = (difference.first, difference.second), presentation.deciding
    values = {arm: scores.arms[arm][probe][metric].value for arm in arms}
    apart = metrics[metric]
    sentence = question.explanation.format(
        cases=apart.cases,
        clusters=apart.clusters,
        first=arms[0],
        second=arms[1],
        first_value=plain(values[arms[0]]),
        second_value=plain(values[arms[1]]),
        difference=signed(apart.value),
        interval=between(apart, sign=True),
    )
    if question.baseline is None:
        return sentence
    name, how = question.baseline
    reached, sign = scores.baselines[probe][name][metric].value, 1 if presentation.better == "higher" else -1
    below = [arm for arm, value in values.items() if sign * value <= sign * reached]
    beaten = (
        ": more than either model" if len(below) == len(arms) else f", more than {below[0]}" if below else ""
    )
    return f"{sentence} {how} reaches {plain(reached)}{beaten}."
