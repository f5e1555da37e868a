"""The page of a drift check: each measure in both windows, and its values over successive checks."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kepipe.drift.check import Report
from kepipe.drift.table import MEASURES
from kepipe.report import charts
from kepipe.report.page import Fact, Figure, Page, Section, Table


def drift_page(pipeline: str, report: Report, checks: Sequence[Mapping[str, Any]]) -> Page:
    """`checks`: the results of this check and earlier ones, the newest last (`drift.json`)."""
    rows = tuple(
        (
            name, MEASURES[name].about, f"{each.reference:.4g}", f"{each.new:.4g}", f"{each.statistic:.4g}",
            f"{each.p:.3g}", "yes" if name in report.drifted else "",
        )
        for name, each in report.found.items()
    )  # fmt: skip
    left_out = tuple((name, reason, "", "", "", "", "") for name, reason in report.skipped.items())
    head = ("measure", "of what", "before", "new", "statistic", "p", "drift")
    return Page(
        title=f"{pipeline}: drift",
        kicker="Drift",
        headline=report.headline,
        lead=(
            "Texts that are new since training, compared with the training texts. p-values are those of "
            "permutation tests over documents; drift is decided with Holm's correction over all measures."
        ),
        facts=(
            Fact("documents before", f"{report.documents[0]:,}"),
            Fact("new documents", f"{report.documents[1]:,}"),
        ),
        sections=(
            Section("measures", "Measures", (Table(head, rows + left_out, numbers=(2, 3, 4, 5)),)),
            *_over_time(checks),
        ),
    )


def _over_time(checks: Sequence[Mapping[str, Any]]) -> Iterator[Section]:
    """A curve for each measure with at least two checks."""
    figures = []
    for name, measure in MEASURES.items():
        points = [
            (number, float(check["found"][name]["statistic"]))
            for number, check in enumerate(checks, 1)
            if name in check.get("found", {})
        ]
        if len(points) > 1:
            xs, ys = [list(part) for part in zip(*points, strict=True)]
            figures.append(Figure(charts.curves({name: (xs, ys)}, "check", measure.statistic), measure.about))
    rows = tuple(
        (time.strftime("%Y-%m-%d %H:%M", time.localtime(float(check["at"]))), str(check["headline"]))
        for check in checks
    )
    yield Section("time", "Over time", (*figures, Table(("check", "outcome"), rows)))
