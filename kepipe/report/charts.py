"""Charts as SVG for a page: text stays text, and colours are CSS variables of the page, for light and dark mode.

Colours are drawn as placeholder values, which are then replaced by CSS variables (`--series-0`, `--ink`, …). Equal data
gives equal bytes.
"""

from __future__ import annotations

import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from kepipe.report.labels import Labels, folded, shortened, width_of
from kepipe.report.markup import Markup, drawing
from kepipe.studies.intervals import Estimate
from kg.characters import chart_settings, in_chart

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LABEL, ROW, SIDE = (42, 3), (30, 2), (22, 2)
"""Width of a line in letters, and lines, of a label below a chart, of a row, and beside a chart."""
LINE = 0.18
"""Height of a further line of a label, in inches."""
LEGEND, LEGEND_WIDTH, LEGEND_LINE, LEGEND_MARK = (50, 2), 62, 0.22, 5
"""Of a legend above a chart: a label's width and lines; the width of a line, including marks; the height of a line in
inches; the width of a mark. Widths are in letters."""
SERIES = 6
"""Number of colours for arms; they repeat from the seventh arm on."""
_INK, _MUTED, _LINE = "#fe0100", "#fe0101", "#fe0102"
_VARIABLES = {_INK: "var(--ink)", _MUTED: "var(--muted)", _LINE: "var(--line)"} | {
    f"#fe00{number:02x}": f"var(--series-{number})" for number in range(SERIES)
}


def series(number: int) -> str:
    """The colour of arm `number` in a chart."""
    return f"#fe00{number % SERIES:02x}"


def curves(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]], x: str, y: str, *, log_x: bool = False
) -> Markup:
    """Label → (xs, ys) as lines, each labelled at its end. `log_x`: logarithmic x axis."""
    above = _Legend(lines if len(lines) > 1 else ())
    # 3.2 inches have room for the curves and for a legend of three lines
    height = 3.2 + LEGEND_LINE * max(0, above.lines - 3) + LINE * _further(x)
    with _chart(5.4, height) as (axes, finish):
        for number, (label, (xs, ys)) in enumerate(lines.items()):
            axes.plot(
                xs, ys, color=series(number), linewidth=1.8, label=in_chart(label), solid_joinstyle="round"
            )
        if log_x:
            axes.set_xscale("log")
        finish.below(axes, x, beside_rows=False)
        finish.labels.put(axes.set_ylabel(" ", color=_MUTED), y, *SIDE)
        axes.grid(axis="y", color=_LINE, linewidth=0.8)
        above.draw(axes, finish.labels)  # next to the curves, not over them
    return finish()


def dots(
    rows: Mapping[str, Mapping[str, Estimate | float]],
    x: str,
    order: Sequence[str],
    *,
    zero: bool = False,
    from_zero: bool = True,
) -> Markup:
    """Row → series → estimate with its interval (or a bare value), one line per row. `order` determines the colours.

    Series that are not in `order` are baselines: small grey marks. `zero` draws the line of no difference; without it,
    the axis starts at 0 if `from_zero`.
    """
    names = {name for row in rows.values() for name in row}
    above = _Legend(names)
    most = max((sum(name in row for name in order) for row in rows.values()), default=1)
    height = 0.55 + LEGEND_LINE * above.lines + max(0.52, 0.16 * most) * len(rows) + LINE * _further(x)
    with _chart(5.4, height) as (axes, finish):
        baselines = sorted(names - set(order))
        for place, row in enumerate(rows.values()):
            shown = [name for name in order if name in row]
            apart = min(0.26, 0.84 / max(1, len(shown)))
            for name, value in row.items():
                offset = apart * (shown.index(name) - (len(shown) - 1) / 2) if name in order else 0.0
                _dot(axes, value, place + offset, order, baselines, name)
        finish.rows(axes, rows)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.grid(axis="x", color=_LINE, linewidth=0.8)
        if zero:
            axes.axvline(0, color=_INK, linewidth=1)
        elif from_zero:
            axes.set_xlim(left=0)
        finish.below(axes, x, beside_rows=True)
        above.draw(axes, finish.labels)
    return finish()


def _dot(
    axes: Axes, value: Estimate | float, y: float, order: Sequence[str], baselines: Sequence[str], name: str
) -> None:
    written = in_chart(name)
    label = written if written not in axes.get_legend_handles_labels()[1] else None
    if name not in order:
        mark = "|x+1"[baselines.index(name) % 4]
        center = value.value if isinstance(value, Estimate) else value
        axes.plot([center], [y], mark, color=_MUTED, markersize=9, markeredgewidth=1.6, label=label)
        return
    color = series(order.index(name))
    if isinstance(value, Estimate):
        if value.low is not None and value.high is not None:
            axes.plot([value.low, value.high], [y, y], color=color, linewidth=2, solid_capstyle="round")
        value = value.value
    axes.plot([value], [y], "o", color=color, markersize=6.5, label=label)


def strips(
    rows: Mapping[str, tuple[Sequence[float], Estimate]], x: str, colors: Sequence[int], *, zero: bool = False
) -> Markup:
    """Row → every value as a small ring, with their mean as a dot on its interval. `colors`: one series per row, −1:
    grey.

    `zero` draws the line of no difference.
    """
    with _chart(5.4, 0.75 + 0.46 * len(rows) + LINE * _further(x)) as (axes, finish):
        for place, ((values, mean), number) in enumerate(zip(rows.values(), colors, strict=True)):
            color = _MUTED if number < 0 else series(number)
            if mean.low is not None and mean.high is not None:
                axes.plot(
                    [mean.low, mean.high], [place] * 2, color=color, linewidth=2, solid_capstyle="round"
                )
            axes.plot([mean.value], [place], "o", color=color, markersize=7)
            above = [place - 0.28] * len(values)
            axes.plot(values, above, "o", color=color, markersize=4.5, fillstyle="none", markeredgewidth=1.2)
        finish.rows(axes, rows)
        axes.set_ylim(len(rows) - 0.5, -0.6)
        axes.grid(axis="x", color=_LINE, linewidth=0.8)
        axes.margins(x=0.06)
        axes.locator_params(axis="x", nbins=5)
        if zero:
            axes.axvline(0, color=_INK, linewidth=1)
        finish.below(axes, x, beside_rows=True)
    return finish()


def bars(rows: Mapping[str, float], x: str, first: int = 0) -> Markup:
    """Label → value as bars with the value at their end; `first`: the arm whose colour the first bar has."""
    row = 0.48 if any(len(folded(name, ROW[0])) > 1 for name in rows) else 0.4
    with _chart(5.4, 0.6 + row * len(rows) + LINE * _further(x)) as (axes, finish):
        values = list(rows.values())
        colors = [series(first)] + [_MUTED] * (len(values) - 1)
        axes.barh(range(len(values)), values, color=colors, height=0.55)
        for place, value in enumerate(values):
            _at_end(axes, _short(value), value, place)
        finish.rows(axes, rows)
        axes.set_ylim(len(values) - 0.5, -0.5)
        axes.set_xlim(0, max([*values, 1e-9]) * 1.15)
        axes.locator_params(axis="x", nbins=4)  # long numbers side by side
        if max([*values, 0]) >= 1000:
            axes.xaxis.set_major_formatter("{x:,.0f}")
        finish.below(axes, x, beside_rows=True)
    return finish()


def timeline(stages: Mapping[str, tuple[float, float]]) -> Markup:
    """Stage → (start, seconds), both in seconds from the first start, as a Gantt chart with the durations as text."""
    with _chart(10.8, 0.6 + 0.34 * len(stages)) as (axes, finish):
        end = max((start + seconds for start, seconds in stages.values()), default=1.0)
        for place, (start, seconds) in enumerate(stages.values()):
            axes.barh(place, max(seconds, end / 400), left=start, color=series(0), height=0.55)
            _at_end(axes, duration(seconds), start + seconds, place)
        finish.rows(axes, stages, 2 * ROW[0], 1)
        axes.set_ylim(len(stages) - 0.5, -0.5)
        axes.set_xlim(0, end * 1.15)
        axes.set_xlabel("seconds of work", color=_MUTED)
        axes.grid(axis="x", color=_LINE, linewidth=0.8)
    return finish()


def _at_end(axes: Axes, text: str, x: float, y: float) -> None:
    """Write beside the end of a bar."""
    axes.annotate(text, (x, y), (5, 0), textcoords="offset points", va="center", color=_INK)


def duration(seconds: float) -> str:
    """A duration as text: 0.4 s, 12 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def smooth(values: Sequence[float], width: int) -> list[float]:
    """Running mean over up to `width` values ending at each position."""
    if not values:
        return []
    sums = np.cumsum([0.0, *values])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(0, ends - width)
    return [float(mean) for mean in (sums[ends] - sums[starts]) / (ends - starts)]


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _further(x: str) -> int:
    """Number of lines of a label below a chart after the first."""
    return len(shortened(x, *LABEL)) - 1


class _Legend:
    """The legend above a chart, of series in columns, or nothing for none."""

    def __init__(self, names: Collection[str]) -> None:
        widest = max(map(width_of, names), default=0) + LEGEND_MARK
        self._columns = max(1, min(4, LEGEND_WIDTH // widest))
        self._shown = bool(names)
        in_one_column = sum(len(shortened(name, *LEGEND)) for name in names)
        self.lines = in_one_column if self._columns == 1 else ceil(len(names) / self._columns)

    def draw(self, axes: Axes, labels: Labels) -> None:
        """Place the legend."""
        if not self._shown:
            return
        legend = axes.figure.legend(
            *axes.get_legend_handles_labels(),
            loc="outside upper left",
            ncols=self._columns,
            columnspacing=1.2,
            borderpad=0,
            frameon=False,
            labelcolor=_INK,
            handlelength=1.2,
            handletextpad=0.5,
        )
        for text in legend.get_texts():
            labels.put(text, text.get_text(), *LEGEND)


class _Finished:
    """Holds the drawing after the end of its `with` block, and its labels before."""

    svg = Markup()

    def __init__(self) -> None:
        self.labels = Labels()

    def __call__(self) -> Markup:
        return self.svg

    def below(self, axes: Axes, text: str, *, beside_rows: bool) -> None:
        """Label the x axis. `beside_rows`: the axis is narrower, as labels of rows stand beside it; a label that may be
        wider than it ends where the axis does."""
        label = axes.set_xlabel(" ", color=_MUTED)
        if beside_rows and width_of(text) > ROW[0]:
            label.set(x=1.0, horizontalalignment="right")
        self.labels.put(label, text, *LABEL)

    def rows(self, axes: Axes, names: Collection[str], width: int = ROW[0], lines: int = ROW[1]) -> None:
        """Label the rows, from the top."""
        added = [self.labels.add(name, width, lines) for name in names]
        axes.set_yticks(range(len(added)), [drawn for drawn, _ in added])
        for text, (_, name) in zip(axes.get_yticklabels(), added, strict=True):
            text.set_gid(name)


@contextmanager
def _chart(width: float, height: float) -> Iterator[tuple[Axes, _Finished]]:
    """An empty chart in the page's style; sizes in inches."""
    from matplotlib.figure import Figure

    settings: Any = {
        "svg.fonttype": "none",
        "svg.hashsalt": "kepipe",
        "font.family": "sans-serif",
        "font.size": 11,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "axes.edgecolor": _MUTED,
        "axes.axisbelow": True,
        "text.color": _INK,
        "xtick.color": _MUTED,
        "ytick.color": _MUTED,
        "ytick.labelcolor": _INK,
        "ytick.major.size": 0,
    }
    finished = _Finished()
    with chart_settings(settings):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.add_subplot()
        yield axes, finished
        finished.svg = _to_svg(figure, finished.labels)


def _to_svg(figure: Any, labels: Labels) -> Markup:
    """The `<svg>` element without size and date; ids are unique to the drawing."""
    import hashlib
    import re

    stream = io.StringIO()
    figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    drawn = labels.restore(stream.getvalue())
    drawn = drawn[drawn.index("<svg") :]
    drawn = re.sub(r"<metadata>.*?</metadata>", "", drawn, flags=re.DOTALL)
    drawn = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", drawn, count=1, flags=re.DOTALL)
    drawn = re.sub(r'(<svg[^>]*?) height="[^"]*"', r'\1 role="img"', drawn, count=1, flags=re.DOTALL)
    used = set(re.findall(r'(?:href="|url\()#([\w.-]+)', drawn))
    mark = "c" + hashlib.sha256(drawn.encode()).hexdigest()[:8]

    def rename(tag: re.Match[str]) -> str:
        """Rename ids and colours in tags only, since a label may contain the same text."""
        named = re.sub(
            r' id="([\w.-]+)"', lambda id: f' id="{mark}-{id[1]}"' if id[1] in used else "", tag[0]
        )
        named = re.sub(r'(href="|url\()#', rf"\1#{mark}-", named)
        return re.sub("#fe0[01]0[0-5]", lambda colour: _VARIABLES[colour[0]], named)

    return drawing(re.sub(r"<[^>]*>", rename, drawn))
