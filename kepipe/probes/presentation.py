"""The interface between probes and reports: how a probe's scores are presented, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from kepipe.studies.intervals import Estimate
from kepipe.studies.scores import Difference, Scores

Details = Mapping[str, Any]
"""`Probe.details`, as stored in `scores.json`."""


@dataclass(frozen=True)
class Verdict:
    """The question about two arms that a probe's deciding metric answers.

    `ability`: verb phrase such as "finds blanked entities"; an arm does so better or worse. `outcome`: prefixes of the
    verdict if the first arm is better and if it is worse ("The knowledge helped: "). `explanation`: a template of the
    underlying figures, with `{cases}`, `{clusters}`, `{first}`, `{second}` (arms), `{first_value}`, `{second_value}`,
    `{difference}`, `{interval}`. `baseline`: the name of the baseline that arms should exceed, and its description;
    None: no baseline is mentioned.
    """

    ability: str
    outcome: tuple[str, str] = ("", "")
    explanation: str = ""
    baseline: tuple[str, str] | None = None


@dataclass(frozen=True)
class Groups:
    """A table of the metrics `{prefix}/{group}/{metric}`. `details`: the key of `Probe.details` with the groups, whose
    `columns` (key → heading) are shown; `baseline`: the baseline shown next to the arms."""

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

    `anchor`, `title`: of its section. `metrics`: name → label, in the order of the table; metrics that a model lacks
    are omitted. `deciding`: the metric by which arms are compared. `drawn`: metrics of the chart, which share a scale;
    (): all. `unit`: label of the chart's axis. `cases`: noun for the cases. `intro`, `notes`: text about the cases, and
    about excluded ones. `caution`: a limitation of the figures, also shown as a warning on the console. `facts`: metric
    → label of the numbers at the head of the page; `compared_fact`: label of the deciding difference there. `alone`: a
    sentence for a single arm, a template with `{arm}` and names of metrics. `examples`: the probe's file of single
    cases that a page quotes (`kepipe.probes.entity_cloze.records`).
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
    """For the console: each arm's deciding metric, and each difference in it, from baselines too. `name`: the probe's
    name in the scores."""
    title, metric = presentation.title.lower(), presentation.deciding
    label = presentation.metrics[metric]
    for arm, measured in scores.arms.items():
        if metric in measured.get(name, {}):
            yield f"{title}, {arm}: {label} {measured[name][metric].value:.3f}"
    for difference in (*scores.differences, *baseline_differences(name, presentation, scores)):
        if metric in difference.scores.get(name, {}):
            yield f"{title}, {difference.name}: {label} {with_interval(difference.scores[name][metric])}"


def baseline_differences(name: str, presentation: Presentation, scores: Scores) -> Iterator[Difference]:
    """The differences of arms from a probe's baselines, with the baselines' labels."""
    for each in scores.baseline_differences:
        if name in each.scores:
            yield replace(each, second=presentation.baselines.get(each.second, each.second))


def with_interval(difference: Estimate) -> str:
    """A difference for the console: `+0.031 (95%: +0.010 to +0.052)`."""
    interval = "" if difference.low is None else f" (95%: {difference.low:+.3f} to {difference.high:+.3f})"
    return f"{difference.value:+.3f}{interval}"
