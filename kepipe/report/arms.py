"""Names, colours and intervals of arms on a study's page."""

from __future__ import annotations

from kepipe.report import charts
from kepipe.report.markup import Markup, fill
from kepipe.report.wording import plain, signed
from kepipe.studies.design import Design
from kepipe.studies.findings import Difference
from kepipe.studies.intervals import Estimate


def titled(design: Design, arm: str) -> str:
    """An arm's name, marked if it is a control."""
    return f"{arm} (control)" if arm in design.controls else arm


def series(design: Design, arm: str) -> int:
    """The colour of an arm: controls are grey (−1), the others use the page's colours in turn."""
    coloured = [name for name in design.arms() if name not in design.controls]
    return coloured.index(arm) % charts.SERIES if arm in coloured else -1


def swatch(design: Design, arm: str) -> Markup:
    """An arm's name after a dot of its colour."""
    number = series(design, arm)
    color = "muted" if number < 0 else f"series-{number}"
    role = fill(' <span class="interval">control</span>') if number < 0 else ""
    return fill('<span class="swatch" style="--mark: var(--{})"></span>{}{}', color, arm, role)


def pair(difference: Difference) -> str:
    """The label of a difference: first − second."""
    return f"{difference.first} − {difference.second}"


def interval_text(mean: Estimate, sign: bool = False) -> str:
    """The interval, or the reason why there is none."""
    if mean.low is None or mean.high is None:
        return "one seed" if mean.cases == 1 else "no spread"
    low, high = (signed(end) if sign else plain(end) for end in (mean.low, mean.high))
    return f"{low} to {high}"


def bracketed(mean: Estimate) -> str:
    """The interval of a difference in brackets; "" if there is none."""
    return "" if mean.low is None else f" (95%: {interval_text(mean, sign=True)})"
