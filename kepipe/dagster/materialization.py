"""What Dagster keeps of a stage's result: its digest as the data's version, its metrics, its folder, MLflow's page."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg

from kepipe.dagster.names import asset_key
from kepipe.flow.artifact import RECORD, Artifact
from kepipe.flow.events import StageCached, StageEnded
from kepipe.flow.plan import Flow, Workspace
from kepipe.tracking.run_links import RunLinks
from kg.regular_files import read_json

PATIENCE = 60.0
"""Seconds for which a result waits for MLflow's page about it."""
EVERY = 2.0
"""Seconds between two looks for such pages."""
MAX_METRICS = 40
"""Metrics of a stage that Dagster draws; the rest are counted."""


class Materializations:
    """The finished stages of a run that Dagster has not been told of: they wait for MLflow's page about them."""

    def __init__(self, flow: Flow, workspace: Workspace) -> None:
        self._flow, self._links = flow, RunLinks(workspace.root, flow.name)
        self._waiting: list[StageCached | StageEnded] = []
        self._next_look = 0.0

    def add(self, event: StageCached | StageEnded) -> None:
        """A stage is done."""
        self._waiting.append(event)

    def with_link(self) -> Iterator[dg.MaterializeResult[None]]:
        """The results about which MLflow has a page by now, and those about which it will hardly have one."""
        if time.monotonic() < self._next_look:
            return
        self._next_look = time.monotonic() + EVERY
        for event in list(self._waiting):
            link = self._link(event)
            waited = time.time() - event.at
            if link is not None or waited > PATIENCE or not self._links.may_come(event.run):
                self._waiting.remove(event)
                yield self._result(event, link)

    def rest(self) -> Iterator[dg.MaterializeResult[None]]:
        """All results that are left, those without a page too."""
        while self._waiting:
            event = self._waiting.pop(0)
            yield self._result(event, self._link(event))

    def _link(self, event: StageCached | StageEnded) -> str | None:
        return self._links.find(event.run, event.stage, event.digest)

    def _result(self, event: StageCached | StageEnded, link: str | None) -> dg.MaterializeResult[None]:
        node = next(node for node in self._flow.nodes if node.name == event.stage)
        metadata = describe(Path(event.folder)) | {"cached": isinstance(event, StageCached)}
        if link is not None:
            metadata["mlflow"] = dg.MetadataValue.url(link)
        return dg.MaterializeResult(
            asset_key=asset_key(self._flow, node),
            metadata=metadata,
            data_version=dg.DataVersion(event.digest),
        )


def describe(folder: Path) -> dict[str, Any]:
    """Metadata of a finished stage: `folder`, `digest`, the id of the `run` that made it, `seconds` of work, and its
    final metrics by their names."""
    artifact = Artifact.open(folder)
    record: Any = read_json(folder / RECORD / "run.json")
    metrics = final_metrics(artifact)
    shown = dict(list(metrics.items())[:MAX_METRICS])
    left = len(metrics) - len(shown)
    return {
        "folder": dg.MetadataValue.path(folder),
        "digest": artifact.digest,
        "run": artifact.maker,
        "seconds": float(record["seconds"]),
        **shown,
        **({"more metrics": left} if left else {}),
    }


def final_metrics(artifact: Artifact) -> dict[str, float]:
    """The metrics that a stage logged once, at its end."""
    return {
        name: float(value)
        for entry in artifact.metrics()
        if entry.get("step") is None
        for name, value in entry.items()
        if name != "step" and isinstance(value, int | float)
    }
