"""A plan as text: one line per stage; a study's copies by arm, with equal seeds on one line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import typer

from kepipe.flow.plan import Step
from kepipe.terminal import Styled, style

COLOURS = {"cached": typer.colors.GREEN, "resumable": typer.colors.YELLOW, "to run": typer.colors.CYAN}


def lines(steps: Sequence[Step]) -> Iterator[tuple[str, ...]]:
    """Lines of the plan, each as parts for `echo`."""
    width = max((len(step.node.name) for step in steps if not step.node.labels), default=0) + 1
    for copied, several in groupby(steps, lambda step: bool(step.node.labels)):
        if copied:
            yield from _by_arm(list(several))
            continue
        for step in several:
            yield f"{step.node.name:<{max(12, width)}}", _status(step), f" {step.key or '':<21}{step.why}"


def _by_arm(steps: Sequence[Step]) -> Iterator[tuple[str, ...]]:
    """Lines by arm and stage, with seeds of the same status and reason on one line."""
    arms = list(dict.fromkeys(step.node.labels["arm"] for step in steps))
    width = max(len(step.node.labels["stage"]) for step in steps) + 2
    for arm in arms:
        yield "  ", style(arm, bold=True)
        mine = [step for step in steps if step.node.labels["arm"] == arm]
        groups: dict[tuple[str, str, str], list[Step]] = {}
        for step in mine:
            groups.setdefault((step.node.labels["stage"], step.status, _why(step)), []).append(step)
        stages = list(dict.fromkeys(step.node.labels["stage"] for step in mine))
        for (stage, _, why), alike in sorted(groups.items(), key=lambda entry: stages.index(entry[0][0])):
            seeds = [step.node.labels["seed"] for step in alike]
            yield f"    {stage:<{width}}{_spans(seeds):<16}", _status(alike[0]), f" {why}"


def _why(step: Step) -> str:
    """The reason without the seed in it, so that it is the same for all seeds."""
    seed = step.node.labels["seed"]
    return step.why.replace(f".{seed}`", "`")


def _spans(seeds: Sequence[str]) -> str:
    """`seeds 0-4, 7` for 0, 1, 2, 3, 4, 7; `all seeds` as it is."""
    if not seeds[0].isdigit():
        return seeds[0]
    spans = []
    for _, run in groupby(enumerate(sorted(map(int, seeds))), lambda pair: pair[1] - pair[0]):
        numbers = [number for _, number in run]
        spans.append(str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]}-{numbers[-1]}")
    return f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(spans)}"


def _status(step: Step) -> Styled:
    return style(f"{step.status:<10}", fg=COLOURS[step.status])
