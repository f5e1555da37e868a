"""The section of a report with the duration of each stage, and how to reproduce the run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from kepipe.flow.artifact import RECORD, Artifact, read_manifest
from kepipe.report import charts
from kepipe.report.page import Block, Code, Figure, Section, Table, Text
from kg.regular_files import read_json


def record(artifact: Artifact) -> dict[str, Any]:
    """Content of an artifact's `record/run.json` (seconds, device, run, …); {} if it is missing."""
    try:
        recorded = read_json(artifact.folder / RECORD / "run.json")
    except (OSError, ValueError):  # missing or damaged: no result depends on it
        return {}
    return recorded if isinstance(recorded, dict) else {}


def running(artifacts: Sequence[Artifact]) -> Section:
    """The stages in order with their duration, the settings and versions, and the digest of each result."""
    records = {artifact.name: record(artifact) for artifact in artifacts}
    timed = {name: recorded["seconds"] for name, recorded in records.items() if "seconds" in recorded}
    blocks: list[Block] = []
    if timed:
        begin, plan = 0.0, {}
        for name, seconds in timed.items():
            plan[name] = (begin, seconds)
            begin += seconds
        caption = (
            f"The stages one after the other: {charts.duration(begin)} in total. A stage whose inputs and "
            "settings have not changed is not run again; its time is that of the run that made it."
        )
        blocks.append(Figure(charts.timeline(plan), caption, wide=True))
    rows = []
    for artifact in artifacts:
        recorded = records[artifact.name]
        seconds = charts.duration(recorded["seconds"]) if "seconds" in recorded else "–"
        rows.append(
            (artifact.name, seconds, recorded.get("device", "–"), artifact.maker, artifact.digest[:12])
        )
    head = ("Stage", "Time", "Device", "Made by run", "Digest")
    blocks.append(Table(head, tuple(rows), numbers=(1,)))
    tags = _tags(records)
    blocks.append(Text("To reproduce the run:"))
    words = ("kepipe run", tags.get("pipeline.file", "PIPELINE.yaml"), tags.get("pipeline.set", ""))
    blocks.append(Code(" ".join(word for word in words if word)))
    seed = read_manifest(artifacts[-1].folder)["cache_key_inputs"].get("seed")
    provenance = {"seed": str(seed)} if seed is not None else {}
    provenance |= {
        name: value for name, value in tags.items() if name not in ("pipeline.file", "pipeline.set", "seed")
    }
    if provenance:
        blocks.append(
            Text(
                ", ".join(f"{name.removesuffix('.version')} {value}" for name, value in provenance.items()),
                True,
            )
        )
    return Section("run", "The run", tuple(blocks))


def day(artifacts: Sequence[Artifact]) -> str:
    """The date on which the last of the stages finished; "" if unknown."""
    ends = [
        recorded["started"] + recorded["seconds"]
        for recorded in map(record, artifacts)
        if "started" in recorded
    ]
    return time.strftime("%-d %B %Y", time.gmtime(max(ends))) if ends else ""


def _tags(records: dict[str, dict[str, Any]]) -> dict[str, str]:
    """Provenance of the last stage that has any."""
    return next((recorded["tags"] for recorded in reversed(records.values()) if recorded.get("tags")), {})
