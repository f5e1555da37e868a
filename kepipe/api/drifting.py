"""Check a pipeline's new text for drift: `kepipe drift`."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kepipe.api.running import run_pipeline
from kepipe.config import ConfigError
from kepipe.linking import LINKER

if TYPE_CHECKING:
    from kepipe.drift.check import Report
    from kepipe.flow.events import Sink
    from kepipe.flow.plan import Flow, Node, Workspace

FOLDER, VALUES = "drift", "drift.json"
FEWEST_NEW = 10
"""Minimum number of new documents for a check."""


def drift(
    file: Path, workspace: Path, assigned: Sequence[str], sink: Sink, level: float
) -> tuple[Report, Path | None]:
    """Compare the texts that are new since the newest model was trained with its training texts.

    Runs the pipeline up to the `link` stage; the next training reuses that result from the cache. The report goes to
    MLflow as a run of the pipeline, and to a page in `<workspace>/drift/<pipeline>/<time>/`, whose path is returned;
    None if there are fewer than `FEWEST_NEW` new documents. Nothing is trained or promoted. Raises ConfigError if no
    model was trained yet.
    """
    from kepipe import pipeline as pipelines
    from kepipe.drift.base import Windows
    from kepipe.drift.check import Report, check, draw
    from kepipe.flow.plan import Workspace
    from kepipe.flow.runner import StageSelection

    flow, _ = pipelines.load(file, assigned)
    place = Workspace(workspace.resolve())
    node, link = _model_node(flow), _link_node(flow)
    model = place.latest(flow.name, node.name).resolve()
    if not model.is_dir():
        raise ConfigError(
            f"{flow.name}: no model to compare with was trained yet: `kepipe run {file}` trains one"
        )
    before = _trained_on(model, place)
    made = run_pipeline(file, place, assigned, StageSelection(until=link.name), sink)
    reference, new, unseen = _texts(before, made.folders[link.name])
    if len(new) < FEWEST_NEW:
        few = f"{len(new)} new documents, fewer than {FEWEST_NEW}"
        return Report({}, (), {"all": few}, (len(reference), len(new))), None
    import numpy as np

    rng = np.random.default_rng([flow.seed, len(new)])
    windows = Windows(
        draw(reference, rng),
        draw(unseen, rng),
        draw(new, rng),
        model,
        made.folders[link.name] / LINKER,
        flow.seed,
    )
    report = check(windows, level)
    return report, _keep(place, flow.name, report, model.name)


def _model_node(flow: Flow) -> Node:
    """The stage whose model is registered, else the last one that trains."""
    from kepipe.stages.artifacts import Model

    nodes = {node.name: node for node in flow.nodes}
    offered = [nodes[node.inputs["model"][0]] for node in flow.nodes if node.stage.name == "register"]
    trained = [node for node in flow.nodes if issubclass(node.stage.makes, Model)]
    if not trained:
        raise ConfigError(f"{flow.name}: the pipeline trains no model")
    return (offered or trained)[-1]


def _link_node(flow: Flow) -> Node:
    found = next((node for node in flow.nodes if node.stage.name == "link"), None)
    if found is None:
        raise ConfigError(f"{flow.name}: the pipeline has no stage `link`; drift is measured on linked text")
    return found


def _trained_on(model: Path, place: Workspace) -> Path:
    """The linked text on which a model was trained."""
    from kepipe.flow.lineage import StageResult, by_digest, nearest_ancestor

    found = nearest_ancestor(StageResult.open(model).digest, "link", by_digest(place))
    if found is None:
        raise ConfigError(f"{model}: its training text is no longer in the store; train it again")
    return found.folder


def _texts(before: Path, now: Path) -> tuple[list[Any], list[Any], list[Any]]:
    """The documents of the training, the new ones (by text), and those held out from the training."""
    from kepipe.data.document_files import held_out, read_documents
    from kepipe.stages.artifacts import Linked

    share = Linked.open(before).held_out_share()
    reference = list(read_documents(before / "documents.jsonl"))
    known = {document.text for document in reference}
    new = [document for document in read_documents(now / "documents.jsonl") if document.text not in known]
    return reference, new, [document for document in reference if held_out(document.id, share)]


def _keep(place: Workspace, pipeline: str, report: Report, model: str) -> Path:
    """Write the page with all checks over time, and log the values to MLflow."""
    from kepipe.flow.events import Metrics, Noted, RunEnded, RunStarted, StageEnded, StageStarted
    from kepipe.report.drift import drift_page
    from kepipe.report.page import render
    from kepipe.tracking import track

    run = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
    folder = place.root / FOLDER / pipeline / run
    folder.mkdir(parents=True)
    values = {"at": time.time(), "model": model, "headline": report.headline, "drifted": list(report.drifted)}
    values |= {
        "found": {name: asdict(each) for name, each in report.found.items()},
        "skipped": dict(report.skipped),
    }
    (folder / VALUES).write_text(json.dumps(values, indent=1), encoding="utf-8")
    page = folder / "report.html"
    page.write_text(render(drift_page(pipeline, report, earlier(place.root, pipeline))), encoding="utf-8")
    figures = {
        f"{name}.{part}": value for name, each in report.found.items() for part, value in asdict(each).items()
    }
    begun = time.time()
    with track(place.root) as tracker:
        stamp: dict[str, Any] = {"run": run, "stage": FOLDER}
        tracker(
            RunStarted(run=run, pipeline=pipeline, config={"check": FOLDER}, tags={"kepipe.check": FOLDER})
        )
        tracker(StageStarted(**stamp, kind=FOLDER, key=run, config={}, inputs={"model": model}, upstream={},
                             resumed=False))  # fmt: skip
        tracker(Metrics(**stamp, values={**figures, "measures_that_tell": float(len(report.drifted))}))
        tracker(StageEnded(**stamp, status="finished", seconds=time.time() - begun, folder=str(folder)))
        tracker(Noted(run=run, level="info", message=report.headline))
        tracker(RunEnded(run=run, status="finished", seconds=time.time() - begun))
    return page


def earlier(workspace: Path, pipeline: str) -> list[dict[str, Any]]:
    """The results of a pipeline's checks, newest last; damaged files are skipped."""
    from kg.regular_files import read_json

    found = []
    for file in sorted((workspace / FOLDER / pipeline).glob(f"*/{VALUES}")):
        try:
            found.append(read_json(file))
        except (OSError, ValueError):
            continue
    return sorted(found, key=lambda values: float(values["at"]))
