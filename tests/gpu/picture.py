"""The table of `gpu-check.json` as a picture."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

COLOURS = {"passed": "#1b7837", "failed": "#b2182b", "left out": "#878787"}


def draw(report: Mapping[str, Any], file: Path) -> None:
    """Seconds of each check, coloured by what came of it."""
    from matplotlib.figure import Figure

    checks = report["checks"]
    figure = Figure(figsize=(9, 1.2 + 0.32 * len(checks)), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(
        [check["name"] for check in checks],
        [check["seconds"] for check in checks],
        color=[COLOURS[check["status"]] for check in checks],
    )
    for place, check in enumerate(checks):
        axes.annotate(
            f" {check['status']}", (check["seconds"], place), va="center", color=COLOURS[check["status"]]
        )
    axes.invert_yaxis()
    axes.margins(x=0.15)
    axes.set_xlabel("seconds")
    machine = report["machine"]
    sizes = ", smoke sizes" if report["smoke"] else ""
    axes.set_title(f"{machine['device']}, torch {machine['torch']}{sizes}")
    figure.savefig(file, dpi=120)
