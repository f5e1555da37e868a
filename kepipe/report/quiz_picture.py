"""A picture of the graph quiz for use outside of a page: accuracy of each arm on stated and held-out facts."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.probes.graph_quiz.presentation import GROUP_NAMES, NAME, PRESENTATION
from kepipe.report.picture import COLORS, MUTED, dot, lay_out, picture
from kepipe.studies.scores import Metrics, Scores

if TYPE_CHECKING:
    from matplotlib.axes import Axes

GROUP_COLORS = dict(zip(("stated", "held_out"), COLORS, strict=False))
BASELINES = {"most_frequent": ":", "chance": "--"}
"""Baselines that are drawn as vertical lines."""


def draw_quiz(scores: Scores, file: Path) -> None:
    """Write a PNG. A row is an arm; a dot is an accuracy, on its 95% interval; lines are baselines, in the same colour.

    Equal scores give equal bytes with the same version of matplotlib.
    """
    arms = {arm: measured[NAME] for arm, measured in scores.arms.items() if NAME in measured}
    with picture(1.3 + 0.5 * len(arms)) as (figure, finish):
        axes = figure.add_subplot()
        for number, (group, color) in enumerate(GROUP_COLORS.items()):
            for place, metrics in enumerate(arms.values()):
                dot(axes, metrics.get(f"accuracy_{group}"), place + 0.22 * (number - 0.5), color)
            for name, style in BASELINES.items():
                _baseline(axes, scores.baselines.get(NAME, {}).get(name, {}), group, color, style)
            axes.plot([], [], "o", color=color, label=GROUP_NAMES[group])
        for name, style in BASELINES.items():
            axes.plot([], [], style, color=MUTED, label=PRESENTATION.baselines[name])
        lay_out(axes, list(arms), "accuracy in the graph quiz")
        axes.set_xlim(0, 1)
        figure.legend(loc="outside upper center", ncols=4, frameon=False, handlelength=1.4)
        finish(file)


def _baseline(axes: Axes, metrics: Metrics, group: str, color: str, style: str) -> None:
    if f"accuracy_{group}" in metrics:
        axes.axvline(
            metrics[f"accuracy_{group}"].value, color=color, linestyle=style, linewidth=1.2, zorder=0
        )
