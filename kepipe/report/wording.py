"""Numbers and comparisons in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from kepipe.studies.intervals import Estimate

Scores = Mapping[str, Any]
"""`scores.json` of an evaluation."""


def estimate(told: Mapping[str, Any]) -> Estimate:
    """An entry of `scores.json`."""
    return Estimate(told["value"], told["low"], told["high"], told["cases"], told["clusters"])


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


def between(found: Estimate, sign: bool = False) -> str:
    """The 95% interval, or why there is none."""
    if found.low is None or found.high is None:
        return f"no interval: {found.clusters} documents"
    low, high = (signed(end) if sign else plain(end) for end in (found.low, found.high))
    return f"{low} to {high}"


def cell(told: Mapping[str, Any], sign: bool = False) -> Markup:
    """A value with its interval in small, for a table."""
    found = estimate(told)
    value = signed(found.value) if sign else plain(found.value)
    return Markup('{} <span class="interval">{}</span>').format(value, between(found, sign))


def swatch(name: str, number: int) -> Markup:
    """An arm's name behind a dot of its colour."""
    return Markup('<span class="swatch" style="--mark: var(--series-{})"></span>{}').format(number, name)


def pair(scores: Scores) -> tuple[str, str] | None:
    """The first arm and the one that it is compared with."""
    for name in scores["differences"]:
        first, _, second = name.partition(" − ")
        return first, second
    return None


def arms(scores: Scores, probe: str = "") -> list[str]:
    """The arms, in the pipeline's order; of a probe, those that answered it."""
    names = [name for name in scores if name not in ("differences", "baselines", "about")]
    return [name for name in names if not probe or probe in scores[name]]


def differences(scores: Scores, probe: str) -> dict[str, Any]:
    """Pair of arms → their difference in a probe that both answered."""
    return {name: told[probe] for name, told in scores["differences"].items() if probe in told}


def verdict(scores: Scores) -> str:
    """Whether the first arm does better than its control on the entity cloze: the page's first sentence."""
    told = pair(scores)
    if told is None:
        return _alone(scores)
    first, second = told
    found = scores["differences"][f"{first} − {second}"].get("entity_cloze", {}).get("mrr")
    if found is None:
        return _by_text(scores, first, second)
    apart = estimate(found)
    if apart.low is None:
        return (
            f"Too little held-out text to tell: {apart.clusters} documents ask for entities, and an interval needs "
            "five. Hold out more."
        )
    if not apart.excludes_zero:
        return (
            f"No difference is shown: whether {first} finds blanked entities better than {second} stays open."
        )
    better = "better" if apart.value > 0 else "worse"
    opening = "The knowledge helped" if apart.value > 0 else "The knowledge did harm"
    return f"{opening}: {first} finds blanked entities {better} than {second}."


def _alone(scores: Scores) -> str:
    """What is told first of a single model."""
    (arm, *others) = arms(scores)
    told = scores[arm].get("perplexity")
    if others:
        return f"{' and '.join([arm, *others])} were measured, each by what fits it: they do not compare."
    if told is None:
        return "One model was measured, without a control: what the knowledge did cannot be told."
    return (
        f"{arm} goes on with held-out text at a perplexity of {plain(told['word_perplexity']['value'])} per word, "
        f"{plain(told['bits_per_byte']['value'])} bits per byte."
    )


def _by_text(scores: Scores, first: str, second: str) -> str:
    """The comparison of two arms that no cloze was put to."""
    found = differences(scores, "perplexity").get(f"{first} − {second}")
    if found is None:
        return f"{first} and {second} were compared by their held-out loss alone."
    apart = estimate(found["bits_per_byte"])
    if not apart.excludes_zero:
        return f"No difference is shown: whether {first} writes better than {second} stays open."
    better = "better" if apart.value < 0 else "worse"
    return f"{first} goes on with held-out text {better} than {second}: {signed(apart.value)} bits per byte."


def explanation(scores: Scores) -> str:
    """The figures behind the verdict, and what one reaches without reading the sentence."""
    told = pair(scores)
    if told is None or "entity_cloze" not in scores[told[0]]:
        return ""
    first, second = told
    mrr = {arm: scores[arm]["entity_cloze"]["mrr"] for arm in told}
    apart = estimate(scores["differences"][f"{first} − {second}"]["entity_cloze"]["mrr"])
    sentence = (
        f"In {apart.cases} blanks of {apart.clusters} held-out documents, the mean reciprocal rank of the true entity "
        f"is {plain(mrr[first]['value'])} with {first} and {plain(mrr[second]['value'])} with {second}: a difference "
        f"of {signed(apart.value)} (95% interval {between(apart, sign=True)})."
    )
    links = scores["baselines"]["entity_cloze"]["links"]["mrr"]["value"]
    below = [arm for arm in told if mrr[arm]["value"] <= links]
    reading = (
        f" Ranking candidates by how often the training text links them, without reading the sentence, reaches "
        f"{plain(links)}"
    )
    if len(below) == len(told):
        return f"{sentence}{reading}: more than either model."
    return f"{sentence}{reading}" + (f", more than {below[0]}." if below else ".")
