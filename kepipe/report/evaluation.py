"""The part of a report that shows an evaluation, drawn from the probes' presentations."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kepipe.probes.presentation import Groups, Presentation, baseline_differences
from kepipe.probes.table import rows
from kepipe.report import charts
from kepipe.report.markup import fill
from kepipe.report.page import Block, Fact, Figure, Quotes, Section, Table, Text
from kepipe.report.wording import between, cell, pair, plain, signed, swatch
from kepipe.studies.scores import Metrics, Scores


def facts(scores: Scores) -> tuple[Fact, ...]:
    """The numbers at the head of the page."""
    return tuple(fact for probe, row in rows() for fact in _facts(probe, row.presentation, scores))


def _facts(probe: str, shown: Presentation, scores: Scores) -> Iterator[Fact]:
    for number, (arm, measured) in enumerate(scores.arms.items()):
        for metric, label in shown.facts.items() if probe in measured else ():
            score = measured[probe][metric]
            yield Fact(f"{label}, {arm}", plain(score.value), f"95%: {between(score)}", number)
    for name, metrics in _differences(scores, probe).items():
        if shown.compared_fact and shown.deciding in metrics:
            apart = metrics[shown.deciding]
            note = f"95%: {between(apart, sign=True)}; {shown.better} is better"
            yield Fact(f"{shown.compared_fact}, {name}", signed(apart.value), note)


def sections(scores: Scores, folder: Path) -> Iterator[Section]:
    """A section for each probe with results. `folder`: the evaluation's folder, with the probes' files."""
    for probe, row in rows():
        if probe in scores.details:
            yield section(probe, row.presentation, scores)
        if probe in scores.details and row.presentation.examples:
            examples = quote_examples(folder / row.presentation.examples, probe, row.presentation, scores)
            if examples is not None:
                yield examples
    if scores.skipped:
        titles = {probe: row.presentation.title for probe, row in rows()}
        blocks = tuple(Text(f"{titles[probe]}: {reason}.") for probe, reason in scores.skipped.items())
        yield Section("skipped", "Probes without results", blocks)


def section(probe: str, shown: Presentation, scores: Scores, *, groups: bool = True) -> Section:
    """The section of one probe; `groups`: whether metrics of groups of cases are included."""
    return _Drawing(probe, shown, scores).section(groups=groups)


class _Drawing:
    """Builds the section of a probe."""

    def __init__(self, probe: str, shown: Presentation, scores: Scores) -> None:
        self.shown, self.details = shown, scores.details[probe]
        self.arms = {arm: measured[probe] for arm, measured in scores.arms.items() if probe in measured}
        self.baselines = {
            shown.baselines.get(name, name): metrics for name, metrics in scores.baselines[probe].items()
        }
        self.differences = _differences(scores, probe)
        self.from_baselines = {
            each.name: each.scores[probe] for each in baseline_differences(probe, shown, scores)
        }
        self.numbers = {arm: number for number, arm in enumerate(scores.arms)}
        self.group_baseline = scores.baselines[probe].get(shown.groups.baseline) if shown.groups else None
        measured = {metric for metrics in self.arms.values() for metric in metrics}
        self.metrics = {metric: label for metric, label in shown.metrics.items() if metric in measured}

    def section(self, *, groups: bool) -> Section:
        """See `section`."""
        shown = self.shown
        blocks: list[Block] = [Text(shown.intro(self.details))]
        if caution := shown.caution(self.details):
            blocks.append(Text(f"Caution: {caution}."))
        drawn = tuple(metric for metric in shown.drawn or self.metrics if metric in self.metrics)
        unit = f"{shown.unit}, {shown.better} is better"
        scores = {
            self.metrics[metric]: {arm: metrics[metric] for arm, metrics in self.arms.items()}
            | {name: metrics[metric].value for name, metrics in self.baselines.items() if metric in metrics}
            for metric in drawn
        }
        blocks.append(
            Figure(charts.dots(scores, unit, list(self.arms), from_zero=shown.from_zero), shown.caption)
        )
        if self.differences:
            blocks.append(self._difference_figure(drawn))
        blocks.append(self._table())
        if groups and shown.groups is not None:
            blocks.append(self._group_table(shown.groups))
        if counts := self.details.get("mentions_given"):
            blocks.append(_mentions_given(counts))
        if notes := shown.notes(self.details):
            blocks.append(Text(notes, quiet=True))
        return Section(shown.anchor, shown.title, tuple(blocks))

    def _difference_figure(self, drawn: Sequence[str]) -> Figure:
        apart = {
            self.metrics[metric]: {name: m[metric] for name, m in self.differences.items() if metric in m}
            for metric in drawn
        }
        caption = (
            f"Paired differences on the same {self.shown.cases}, {self.shown.better} is better. An interval that "
            f"crosses 0 shows no effect. {self.metrics.get(self.shown.deciding, 'The first')} decides."
        )
        return Figure(charts.dots(apart, "difference", list(self.differences), zero=True), caption)

    def _table(self) -> Table:
        lines: list[tuple[Any, ...]] = [
            (swatch(arm, self.numbers[arm]), *(cell(metrics[metric]) for metric in self.metrics))
            for arm, metrics in self.arms.items()
        ]
        for name, metrics in self.baselines.items():
            lines.append((name, *self._cells(metrics)))
        for name, metrics in {**self.differences, **self.from_baselines}.items():
            lines.append((name, *(cell(metrics[m], sign=True) if m in metrics else "" for m in self.metrics)))
        head = ("", *self.metrics.values())
        return Table(head, tuple(lines), numbers=tuple(range(1, len(head))))

    def _cells(self, metrics: Metrics) -> Iterator[str]:
        return (plain(metrics[metric].value) if metric in metrics else "" for metric in self.metrics)

    def _group_table(self, groups: Groups) -> Table:
        lines = []
        for group, about in self.details[groups.details].items():
            metric = f"{groups.prefix}/{group}/{groups.metric}"
            values = [cell(metrics[metric]) for metrics in self.arms.values()]
            baseline = [] if self.group_baseline is None else [plain(self.group_baseline[metric].value)]
            lines.append((group, *(about[key] for key in groups.columns), *values, *baseline))
        label = self.shown.metrics[groups.metric]
        head = (groups.heading, *groups.columns.values(), *(f"{label}, {arm}" for arm in self.arms))
        if self.group_baseline is not None:
            head = (*head, self.shown.baselines.get(groups.baseline, groups.baseline))
        return Table(head, tuple(lines), groups.caption, tuple(range(1, len(head))))


def _differences(scores: Scores, probe: str) -> dict[str, Metrics]:
    """Pair of arms → their difference in a probe that both answered."""
    return {each.name: each.scores[probe] for each in scores.differences if probe in each.scores}


def _mentions_given(counts: Mapping[str, Mapping[str, int]]) -> Text:
    """How many of the given mentions the arms with knowledge have knowledge about."""
    known = ", ".join(f"{of['known']:,} of {of['given']:,} mentions ({arm})" for arm, of in counts.items())
    return Text(
        f"Mentions given with the text, over all tests, that the knowledge covers: {known}. Other arms have no "
        "knowledge."
    )


def quote_examples(
    file: Path, probe: str, shown: Presentation, scores: Scores, most: int = 4
) -> Section | None:
    """The cases on which the arms differ most, in both directions.

    `file`: in the form of `kepipe.probes.entity_cloze.records`.
    """
    difference = pair(scores)
    if difference is None or probe not in difference.scores or not file.exists():
        return None
    order = (difference.first, difference.second)
    cases = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    blocks: list[Block] = []
    for better, worse in (order, order[::-1]):
        gained = sorted(cases, key=lambda case: 1 / case["ranks"][worse] - 1 / case["ranks"][better])
        items = tuple(_example(case, order) for case in _apart(gained, better, worse, most))
        won = sum(case["ranks"][better] < case["ranks"][worse] for case in cases)
        blocks.append(
            Text(
                f"{better} ranks the true entity higher than {worse} in {won} of {len(cases)} {shown.cases}."
            )
        )
        if items:
            blocks.append(Quotes(items))
    return Section(f"{shown.anchor}-examples", f"{shown.title}: where the arms differ", tuple(blocks))


def _apart(
    cases: Sequence[Mapping[str, Any]], better: str, worse: str, most: int
) -> Iterator[Mapping[str, Any]]:
    """The first cases that `better` ranks strictly higher, one per entity."""
    seen: set[str] = set()
    for case in cases:
        if len(seen) == most or case["ranks"][better] >= case["ranks"][worse]:
            return
        if case["entity"] not in seen:
            seen.add(case["entity"])
            yield case


def _example(case: Mapping[str, Any], order: Sequence[str]) -> tuple[str, str, str]:
    before, after = (" ".join(case[side].split()) for side in ("before", "after"))
    gaps = (" " if case["before"][-1:].isspace() else "", " " if case["after"][:1].isspace() else "")
    passage = fill('{}{}<span class="blank">{}</span>{}{}', before, gaps[0], case["label"], gaps[1], after)
    ranks = " · ".join(f"{arm}: rank {case['ranks'][arm]:g}" for arm in order)
    return (
        f"{case['title'] or case['document']} · {case['type']}",
        passage,
        f"{ranks} of {case['candidates']}",
    )
