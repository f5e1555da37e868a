"""The part of a report that shows the training of the arms."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from kepipe.flow.artifact import Artifact
from kepipe.report import charts
from kepipe.report.page import Block, Figure, Section, Table, Text
from kepipe.report.wording import plain, swatch

SETTINGS = ("objective", "steps", "batch_tokens", "peak", "format", "length")


def training(arms: Sequence[Artifact]) -> Section:
    """Losses over the steps, and each arm's settings and speed. `arms` are model folders with their records."""
    measured = {arm.name: arm.metrics() for arm in arms}
    blocks: list[Block] = []
    lines = {name: _line(entries, "loss", smoothed=True) for name, entries in measured.items()}
    if any(steps for steps, _ in lines.values()):
        caption = (
            "Training loss, a running mean of ten records. Arms have different objectives, so that their losses "
            "are not comparable: a whole phrase is harder to predict than a token."
        )
        blocks.append(Figure(charts.curves(lines, "step", "loss (nats)"), caption))
    held_out = {name: _line(entries, "held_out_loss") for name, entries in measured.items()}
    if any(len(steps) > 1 for steps, _ in held_out.values()):
        caption = (
            "Loss on held-out text during training: the same text and the same masked tokens for all arms."
        )
        blocks.append(Figure(charts.curves(held_out, "step", "held-out loss (nats)"), caption))
    blocks.append(_table(arms, measured))
    return Section("training", "Training", tuple(blocks))


def _line(
    entries: Sequence[dict[str, Any]], name: str, smoothed: bool = False
) -> tuple[list[float], list[float]]:
    points = [(e["step"], e[name]) for e in entries if name in e and e["step"] is not None]
    steps, values = [p[0] for p in points], [p[1] for p in points]
    return steps, charts.smooth(values, 10) if smoothed else values


def _table(arms: Sequence[Artifact], measured: dict[str, list[dict[str, Any]]]) -> Block:
    """Settings in which the arms differ, and their speed."""
    configs = {}
    for arm in arms:
        file = arm.folder / "kepipe.json"
        provenance = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        configs[arm.name] = provenance.get("config", {}) | {"seed": provenance.get("seed", "")}
    keys = sorted({key for config in configs.values() for key in config})
    same = [
        key for key in keys if len({json.dumps(c.get(key), sort_keys=True) for c in configs.values()}) == 1
    ]
    rows_shown = [key for key in keys if key not in same or key in SETTINGS]
    rows = []
    for number, arm in enumerate(arms):
        speeds = [entry["tokens_per_second"] for entry in measured[arm.name] if "tokens_per_second" in entry]
        settings = (_setting(configs[arm.name].get(key)) for key in rows_shown)
        speed = f"{sum(speeds) / len(speeds):,.0f}" if speeds else "–"
        last = next((entry["loss"] for entry in reversed(measured[arm.name]) if "loss" in entry), None)
        rows.append((swatch(arm.name, number), *settings, "–" if last is None else plain(last), speed))
    if not rows:
        return Text("No arm was trained.", quiet=True)
    head = ("Arm", *rows_shown, "last loss", "tokens/s")
    return Table(head, tuple(rows), numbers=(len(head) - 2, len(head) - 1))


def _setting(value: Any) -> str:
    """A setting for a cell: an objective is shown by its name."""
    if isinstance(value, dict):
        return str(
            value.get("name")
            or ", ".join(f"{key} {inner}" for key, inner in value.items() if inner is not None)
        )
    return "–" if value is None else str(value)
