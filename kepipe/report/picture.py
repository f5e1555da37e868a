"""PNG pictures for use outside of a page: one per run, with a panel per measure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kepipe.probes.table import rows
from kepipe.studies.intervals import Estimate
from kepipe.studies.scores import Scores
from kg.characters import chart_settings, in_chart, in_xml

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED, LINE = "#1f2430", "#6b7280", "#e5e7eb"
COLORS = ("#2563eb", "#ea580c", "#0d9488", "#9333ea")


@dataclass(frozen=True)
class Panel:
    """Arm → its figure with the 95% interval, over the axis `label`; `baselines` are drawn as lines."""

    label: str
    arms: Mapping[str, Estimate]
    baselines: Mapping[str, float] = field(default_factory=dict)


def of_probes(scores: Scores) -> Iterator[Panel]:
    """The deciding figure of each probe with results."""
    for probe, shown in ((name, row.presentation) for name, row in rows()):
        deciding = shown.deciding
        measured = {
            arm: metrics[probe][deciding]
            for arm, metrics in scores.arms.items()
            if deciding in metrics.get(probe, {})
        }
        baselines = {
            shown.baselines.get(name, name): metrics[deciding].value
            for name, metrics in scores.baselines.get(probe, {}).items()
            if deciding in metrics
        }
        if measured:
            label = shown.metrics[deciding]
            unit = "" if shown.unit == label else f", {shown.unit}"
            yield Panel(f"{shown.title}: {label}{unit}, {shown.better} is better", measured, baselines)


def draw(panels: Sequence[Panel], file: Path) -> None:
    """Write a PNG, with the panels one above the other.

    Equal figures give equal bytes with the same version of matplotlib.
    """
    heights = [0.9 + 0.27 * len(panel.arms) for panel in panels]
    with picture(sum(heights)) as (figure, finish):
        grid = figure.add_gridspec(len(panels), 1, height_ratios=heights)
        for number, panel in enumerate(panels):
            axes = figure.add_subplot(grid[number])
            for place, estimate in enumerate(panel.arms.values()):
                dot(axes, estimate, place, COLORS[number % len(COLORS)])
            for name, value in panel.baselines.items():
                axes.axvline(value, color=MUTED, linestyle=":", linewidth=1.2, zorder=0)
                axes.annotate(
                    in_xml(name), (value, -0.5), (0, 2), textcoords="offset points",
                    ha="center", va="bottom", color=MUTED, fontsize=9,
                )  # fmt: skip
            lay_out(axes, list(panel.arms), in_xml(panel.label))
            axes.margins(x=0.04)
        finish(file)


@contextmanager
def picture(height: float) -> Iterator[tuple[Figure, Any]]:
    """An empty picture of this height in inches, and a function that writes it to a file."""
    from matplotlib.figure import Figure

    settings: Any = {"font.family": "sans-serif", "font.size": 11, "text.color": INK}
    with chart_settings(settings):
        figure = Figure(figsize=(7.2, height), dpi=150, layout="constrained", facecolor="white")

        def finish(file: Path) -> None:
            figure.savefig(file, format="png", metadata={"Software": None})

        yield figure, finish


def dot(axes: Axes, estimate: Estimate | None, y: float, color: str) -> None:
    """A figure on its interval; without an interval, none is drawn."""
    if estimate is None:
        return
    if estimate.low is not None and estimate.high is not None:
        axes.plot([estimate.low, estimate.high], [y, y], color=color, linewidth=2.2, solid_capstyle="round")
    axes.plot([estimate.value], [y], "o", color=color, markersize=7)


def lay_out(axes: Axes, arms: Sequence[str], label: str) -> None:
    """One row per arm, from the top; `label`: that of the axis."""
    axes.set_yticks(range(len(arms)), [in_chart(arm) for arm in arms], color=INK)
    axes.set_ylim(len(arms) - 0.5, -0.5)
    axes.set_xlabel(label, color=MUTED)
    axes.grid(axis="x", color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, colors=MUTED)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
