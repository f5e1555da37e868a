"""Scores by the number of training examples."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from kepipe.report import charts
from kepipe.report.page import Figure
from kepipe.studies.intervals import Estimate

_SIZE = re.compile(r"(?P<stage>.+)-(?P<size>\d+|all)(?P<copy>\..*)?")


def sized(name: str) -> tuple[str, str] | None:
    """The stage and the training-set size in a name such as `finetune-300`; None for another name."""
    found = _SIZE.fullmatch(name)
    return None if found is None else (found["stage"] + (found["copy"] or ""), found["size"])


def curve(scores: Mapping[str, Mapping[str, Estimate]], y: str, order: Sequence[str]) -> Figure | None:
    """Name of a stage → arm → score, as a figure with one line per arm; None unless a stage has several sizes."""
    rows: dict[str, dict[str, Estimate]] = {}
    stages = {found[0] for found in map(sized, scores) if found is not None}
    for name, by_arm in scores.items():
        found = sized(name)
        if found is None:
            continue
        stage, size = found
        label = f"{size} examples" if len(stages) == 1 else f"{stage}, {size} examples"
        rows.setdefault(label, {}).update(by_arm)
    if len(rows) < 2:
        return None
    drawing = charts.dots(rows, y, order, from_zero=False)
    return Figure(drawing, "By the number of training examples, with 95% intervals.")
