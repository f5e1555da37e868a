"""How a probe's scores are shown, as plain data: what a report, and a line on the console, say of any probe."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from kepipe.studies.intervals import Estimate
from kepipe.studies.scores import Scores

Details = Mapping[str, Any]
"""`Probe.details`, as they stand in `scores.json`."""


@dataclass(frozen=True)
class Verdict:
    """The question that a probe's deciding metric answers of two arms.

    `ability`: "finds blanked entities", of which an arm does better or worse. `outcome`: for a better and for a worse
    first arm, what stands before that ("The knowledge helped: "). `explanation`: a template of the figures behind it,
    of `{cases}`, `{clusters}`, `{first}`, `{second}` (arms), `{first_value}`, `{second_value}`, `{difference}`,
    `{interval}`. `baseline`: the name of what the arms have to beat, and how it works; none: nothing is said of one.
    """

    ability: str
    outcome: tuple[str, str] = ("", "")
    explanation: str = ""
    baseline: tuple[str, str] | None = None


@dataclass(frozen=True)
class Groups:
    """A table of the metrics `{prefix}/{group}/{metric}`. `details`: the key of what is known of each group, of which
    `columns` (key → heading) are shown; `baseline`: one that stands beside the arms."""

    prefix: str
    heading: str
    caption: str
    metric: str
    details: str
    columns: Mapping[str, str]
    baseline: str


@dataclass(frozen=True)
class Presentation:
    """What a report needs to draw a probe.

    `anchor`, `title`: of its section. `metrics`: name → label, in the order of the table; those that a model lacks are
    left out. `deciding`: the metric by which arms are compared. `drawn`: metrics of the chart, which share a scale; ():
    all. `unit`: what the chart's axis shows. `cases`: what one calls the cases. `intro`, `notes`: what is asked, and
    what was left out, in words. `caution`: what one has to know before one trusts the figures; the console warns of it.
    `facts`: metric → label of the numbers at the head of the page; `compared_fact`: label
    of the deciding difference there. `alone`: a sentence of a single arm, a template of `{arm}` and metrics' names.
    `examples`: the probe's file of single blanks that a page quotes (`kepipe.probes.entity_cloze.records`).
    """

    anchor: str
    title: str
    metrics: Mapping[str, str]
    deciding: str
    unit: str
    better: Literal["higher", "lower"]
    intro: Callable[[Details], str]
    cases: str = "cases"
    notes: Callable[[Details], str] = field(default=lambda _: "")
    caution: Callable[[Details], str] = field(default=lambda _: "")
    drawn: tuple[str, ...] = ()
    from_zero: bool = True
    caption: str = ""
    baselines: Mapping[str, str] = field(default_factory=dict)
    facts: Mapping[str, str] = field(default_factory=dict)
    compared_fact: str = ""
    verdict: Verdict | None = None
    alone: str = ""
    groups: Groups | None = None
    examples: str = ""


def headlines(name: str, presentation: Presentation, scores: Scores) -> Iterator[str]:
    """For the console: each arm's deciding metric, and each difference in it. `name`: the probe's in the scores."""
    title, metric = presentation.title.lower(), presentation.deciding
    label = presentation.metrics[metric]
    for arm, measured in scores.arms.items():
        if metric in measured.get(name, {}):
            yield f"{title}, {arm}: {label} {measured[name][metric].value:.3f}"
    for difference in scores.differences:
        if metric in difference.scores.get(name, {}):
            yield f"{title}, {difference.name}: {label} {with_interval(difference.scores[name][metric])}"


def with_interval(difference: Estimate) -> str:
    """A difference for the console: `+0.031 (95%: +0.010 to +0.052)`."""
    interval = "" if difference.low is None else f" (95%: {difference.low:+.3f} to {difference.high:+.3f})"
    return f"{difference.value:+.3f}{interval}"
