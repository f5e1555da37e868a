"""A picture of the graph quiz, to be shown outside of a page: accuracy of each arm on facts stated and held out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from kepipe.probes.graph_quiz.presentation import GROUP_NAMES, NAME, PRESENTATION
from kepipe.studies.intervals import Estimate
from kepipe.studies.scores import Metrics, Scores
from kg.characters import chart_settings, in_chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INK, MUTED, LINE = "#1f2430", "#6b7280", "#e5e7eb"
COLORS = {"stated": "#2563eb", "held_out": "#ea580c"}
BASELINES = {"most_frequent": ":", "chance": "--"}
"""Baselines that are drawn as vertical lines."""


def draw_quiz(scores: Scores, file: Path) -> None:
    """Write a PNG. A row is an arm; a dot is an accuracy, on its 95% interval; lines are baselines, in its colour.

    Equal scores give equal bytes with the same version of matplotlib.
    """
    from matplotlib.figure import Figure

    arms = {arm: measured[NAME] for arm, measured in scores.arms.items() if NAME in measured}
    settings: Any = {
        "font.family": "sans-serif",
        "font.size": 11,
        "text.color": INK,
    }
    with chart_settings(settings):
        figure = Figure(
            figsize=(7.2, 1.3 + 0.5 * len(arms)), dpi=150, layout="constrained", facecolor="white"
        )
        axes = figure.add_subplot()
        for number, (group, color) in enumerate(COLORS.items()):
            for place, metrics in enumerate(arms.values()):
                _dot(axes, metrics.get(f"accuracy_{group}"), place + 0.22 * (number - 0.5), color)
            for name, style in BASELINES.items():
                _baseline(axes, scores.baselines.get(NAME, {}).get(name, {}), group, color, style)
            axes.plot([], [], "o", color=color, label=GROUP_NAMES[group])
        for name, style in BASELINES.items():
            axes.plot([], [], style, color=MUTED, label=PRESENTATION.baselines[name])
        axes.set_yticks(range(len(arms)), [in_chart(arm) for arm in arms], color=INK)
        axes.set_ylim(len(arms) - 0.5, -0.5)
        axes.set_xlim(0, 1)
        axes.set_xlabel("accuracy in the graph quiz", color=MUTED)
        axes.grid(axis="x", color=LINE, linewidth=0.8)
        axes.set_axisbelow(True)
        axes.tick_params(length=0, colors=MUTED)
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        figure.legend(loc="outside upper center", ncols=4, frameon=False, handlelength=1.4)
        figure.savefig(file, format="png", metadata={"Software": None})


def _dot(axes: Axes, accuracy: Estimate | None, y: float, color: str) -> None:
    if accuracy is None:
        return
    if accuracy.low is not None and accuracy.high is not None:
        axes.plot([accuracy.low, accuracy.high], [y, y], color=color, linewidth=2.2, solid_capstyle="round")
    axes.plot([accuracy.value], [y], "o", color=color, markersize=7)


def _baseline(axes: Axes, metrics: Metrics, group: str, color: str, style: str) -> None:
    if f"accuracy_{group}" in metrics:
        axes.axvline(
            metrics[f"accuracy_{group}"].value, color=color, linestyle=style, linewidth=1.2, zorder=0
        )
