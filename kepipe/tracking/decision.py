"""The gate's decision on a model version, as tags, as a Markdown note and as an HTML page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kepipe.flow.events import ModelOffered
from kepipe.tracking.conditions.base import Data, GateInput, PairedEvaluation
from kepipe.tracking.gate import Verdict, check, decide, gate_of
from kepipe.tracking.names import allowed

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

EvaluatePair = Callable[[Path, Path | None, Path], PairedEvaluation | None]
"""(champion's folder, new model's folder or None, folder of an evaluation) → both evaluated on its questions, or None
if that is not possible."""
WHY, PROMOTED, RUN = "kepipe.gate.why", "kepipe.gate.promoted", "kepipe.gate.run"
WAITS, FOUND, BASIS = "kepipe.gate.waits", "kepipe.gate.conditions", "kepipe.gate.basis"
METRIC = "kepipe.gate.metric"
DATA = "kepipe.data"
"""Tag of a version: identifies the data of its metrics."""
FOLDER, EVALUATION = "kepipe.folder", "kepipe.evaluation"
_STATUS = {True: "met", False: "not met", None: "waits"}


def decision(
    event: ModelOffered, champion: ModelVersion | None, number: str, evaluate_pair: EvaluatePair
) -> dict[str, str]:
    """The gate's decision on version `number` as tags. `RUN` is set last and marks the decision as complete."""
    gate = gate_of(event.gate)
    tags = {METRIC: str(gate.metric), BASIS: "no previous champion"}
    if champion is not None and str(champion.version) == number:
        verdict = Verdict(True, "it is already the champion")
    elif gate.conditions:
        evaluation = None if champion is None else _CachedEvaluation(champion, event, evaluate_pair)
        verdict = decide(gate, GateInput(str(gate.metric), event.metrics, evaluation, gate.better))
        tags[BASIS] = evaluation.basis if evaluation is not None else tags[BASIS]
    elif champion is None:
        verdict = check(gate, event.metrics.get(str(gate.metric)), None, has_champion=False)
    else:
        value, tags[BASIS] = _value(champion, event, str(gate.metric), evaluate_pair)
        verdict = check(gate, event.metrics.get(str(gate.metric)), value, has_champion=True)
    rows = [[name, _STATUS[found.met], found.why] for name, found in verdict.found]
    return {
        **tags,
        WHY: verdict.why[:5000],
        FOUND: json.dumps(rows, ensure_ascii=False),
        WAITS: "approval" if verdict.waits else "",
        PROMOTED: str(verdict.promote).lower(),
        RUN: event.run,
    }


class _CachedEvaluation:
    """Evaluates champion and new model on the same questions, once for the new and once for the old data."""

    def __init__(self, champion: ModelVersion, event: ModelOffered, evaluate_pair: EvaluatePair) -> None:
        self._champion, self._event, self._rematch = champion, event, evaluate_pair
        self.basis = "not compared with the champion"
        self._cached = cache(self._measure)

    def __call__(self, data: Data) -> tuple[PairedEvaluation | None, str]:
        return self._cached(data)

    def _measure(self, data: Data) -> tuple[PairedEvaluation | None, str]:
        current = str(self._event.gate.get("evaluation", ""))
        evaluation = current if data == "new" else self._champion.tags.get(EVALUATION, "")
        folder = folder_of(self._champion, Path(current).parent)
        found = None
        if evaluation and folder.is_dir():
            found = self._rematch(folder, Path(self._event.folder), Path(evaluation))
        if found is not None:
            self.basis = "both evaluated on the same questions"
            return found, ""
        if data_of(self._event) == self._champion.tags.get(DATA):
            stored = {name: self._champion.tags.get(metric_tag(name)) for name in self._event.metrics}
            values = {name: float(value) for name, value in stored.items() if value}
            self.basis = "measured on the same data"
            return PairedEvaluation(
                values, {}, "the two models cannot be evaluated on the same cases again"
            ), ""
        return None, f"its {'model' if not folder.is_dir() else 'evaluation'} is no longer in the store"


def _value(
    champion: ModelVersion, event: ModelOffered, metric: str, evaluate_pair: EvaluatePair
) -> tuple[float | None, str]:
    """The champion's value of the gate's metric, and the data it was measured on."""
    evaluation = str(event.gate.get("evaluation", ""))
    stored = champion.tags.get(metric_tag(metric))
    if stored and data_of(event) == champion.tags.get(DATA):
        return float(stored), "measured on the same data"
    value = None
    if evaluation and (folder := folder_of(champion, Path(evaluation).parent)).is_dir():
        found = evaluate_pair(folder, None, Path(evaluation))
        value = None if found is None else found.champion.get(metric)
    if value is not None:
        return value, "champion re-evaluated on the current data"
    return (
        float(stored) if stored else None
    ), "the champion's value at its registration; it was not re-evaluated"


def folder_of(version: ModelVersion, done: Path) -> Path:
    """The model folder of a version: the offered path, or, if the workspace was moved, the folder of the same name in
    `done`, the store of the current evaluation."""
    folder = Path(version.tags[FOLDER])
    return folder if folder.is_dir() else done / folder.name


def offer_tags(event: ModelOffered) -> dict[str, str]:
    """Tags of a version from its offer."""
    tags = {"kepipe.run": event.run, "kepipe.digest": event.digest, FOLDER: event.folder}
    tags |= {EVALUATION: str(event.gate.get("evaluation", "")), DATA: data_of(event)}
    tags |= {metric_tag(name): repr(value) for name, value in event.metrics.items()}
    return tags | {allowed(name): value for name, value in event.tags.items()}


def data_of(event: ModelOffered) -> str:
    """Identifies the data on which an offered model was measured; by default, its evaluation."""
    return str(event.gate.get("data", event.gate.get("evaluation", "")))


def metric_tag(metric: str) -> str:
    """The version tag of a metric."""
    return allowed(f"metric.{metric}")


def conditions_of(tags: Mapping[str, str]) -> list[Sequence[str]]:
    """(condition, status, reason) of a version's decision; empty if the tag is damaged."""
    try:
        rows: Any = json.loads(tags.get(FOUND, "[]"))
        return [[str(cell) for cell in row] for row in rows if len(row) == 3]
    except (ValueError, TypeError):
        return []


def note(name: str, number: str, tags: Mapping[str, str]) -> str:
    """The decision as Markdown, for the description of the version and of the run."""
    status = outcome(tags)
    lines = [f"**{name} version {number}: {status}.** {_cell(tags.get(WHY, ''))}", ""]
    rows = conditions_of(tags)
    if rows:
        lines += ["| condition | | found |", "|---|---|---|"]
        lines += [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return "\n".join([*lines, "", f"Champion before: {tags.get('kepipe.gate.against')}; {tags.get(BASIS)}."])


def outcome(tags: Mapping[str, str]) -> str:
    """The gate's decision on a version: promoted, refused, or waits for approval."""
    if tags.get(PROMOTED) == "true":
        return "promoted"
    return "waits for approval" if tags.get(WAITS) else "refused"


def page(name: str, number: str, tags: Mapping[str, str]) -> str:
    """The decision as an HTML page."""
    from kepipe.report.gate import gate_page
    from kepipe.report.page import render

    figures = {key.removeprefix("metric."): value for key, value in tags.items() if key.startswith("metric.")}
    against = f"{tags.get('kepipe.gate.against')} ({tags.get(BASIS)})"
    return render(
        gate_page(
            f"{name} version {number}",
            outcome(tags),
            tags.get(WHY, ""),
            conditions_of(tags),
            figures,
            against,
        )
    )


def _cell(text: str) -> str:
    """Escape a text for a cell of a Markdown table."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
