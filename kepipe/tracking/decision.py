"""A gate's decision on a version of a model, as tags, as a note, and as a page."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kepipe.flow.events import ModelOffered
from kepipe.tracking.conditions.base import Data, Facts, Rematch
from kepipe.tracking.gate import Verdict, check, decide, gate_of
from kepipe.tracking.names import allowed

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

AskAgain = Callable[[Path, Path | None, Path], Rematch | None]
"""(champion's folder, new model's folder or None, folder of an evaluation) → both put to its questions, or None."""
WHY, PROMOTED, RUN = "kepipe.gate.why", "kepipe.gate.promoted", "kepipe.gate.run"
WAITS, FOUND, BASIS = "kepipe.gate.waits", "kepipe.gate.conditions", "kepipe.gate.basis"
METRIC = "kepipe.gate.metric"
DATA = "kepipe.data"
"""Tag of a version: on what it was measured."""
FOLDER, EVALUATION = "kepipe.folder", "kepipe.evaluation"
_STANDS = {True: "met", False: "not met", None: "waits"}


def decision(
    event: ModelOffered, champion: ModelVersion | None, number: str, rematch: AskAgain
) -> dict[str, str]:
    """The gate's decision on version `number` as tags. `RUN` comes last: it says that the decision stands."""
    gate = gate_of(event.gate)
    tags = {METRIC: str(gate.metric), BASIS: "no champion before"}
    if champion is not None and str(champion.version) == number:
        verdict = Verdict(True, "it is the champion already")
    elif gate.conditions:
        again = None if champion is None else _Again(champion, event, rematch)
        verdict = decide(gate, Facts(str(gate.metric), event.metrics, again, gate.better))
        tags[BASIS] = again.basis if again is not None else tags[BASIS]
    elif champion is None:
        verdict = check(gate, event.metrics.get(str(gate.metric)), None, holds=False)
    else:
        value, tags[BASIS] = _value(champion, event, str(gate.metric), rematch)
        verdict = check(gate, event.metrics.get(str(gate.metric)), value, holds=True)
    rows = [[name, _STANDS[found.met], found.why] for name, found in verdict.found]
    return {
        **tags,
        WHY: verdict.why[:5000],
        FOUND: json.dumps(rows, ensure_ascii=False),
        WAITS: "approval" if verdict.waits else "",
        PROMOTED: str(verdict.promote).lower(),
        RUN: event.run,
    }


class _Again:
    """Champion and new model put to the same questions, once for each set of data."""

    def __init__(self, champion: ModelVersion, event: ModelOffered, rematch: AskAgain) -> None:
        self._champion, self._event, self._rematch = champion, event, rematch
        self.basis = "nothing was compared with the champion"
        self._ask = cache(self._measure)

    def __call__(self, data: Data) -> tuple[Rematch | None, str]:
        return self._ask(data)

    def _measure(self, data: Data) -> tuple[Rematch | None, str]:
        present = str(self._event.gate.get("evaluation", ""))
        evaluation = present if data == "new" else self._champion.tags.get(EVALUATION, "")
        folder = folder_of(self._champion, Path(present).parent)
        found = None
        if evaluation and folder.is_dir():
            found = self._rematch(folder, Path(self._event.folder), Path(evaluation))
        if found is not None:
            self.basis = "measured again, both on the same questions"
            return found, ""
        if data_of(self._event) == self._champion.tags.get(DATA):
            stored = {name: self._champion.tags.get(metric_tag(name)) for name in self._event.metrics}
            values = {name: float(value) for name, value in stored.items() if value}
            self.basis = "measured on the same data"
            return Rematch(values, {}, "its cases cannot be put to both again"), ""
        return None, f"its {'model' if not folder.is_dir() else 'evaluation'} is not in the store any more"


def _value(
    champion: ModelVersion, event: ModelOffered, metric: str, rematch: AskAgain
) -> tuple[float | None, str]:
    """The champion's value of the gate's metric, and on what it was measured."""
    evaluation = str(event.gate.get("evaluation", ""))
    stored = champion.tags.get(metric_tag(metric))
    if stored and data_of(event) == champion.tags.get(DATA):
        return float(stored), "measured on the same data"
    value = None
    if evaluation and (folder := folder_of(champion, Path(evaluation).parent)).is_dir():
        found = rematch(folder, None, Path(evaluation))
        value = None if found is None else found.champion.get(metric)
    if value is not None:
        return value, "measured again on the present data"
    return (float(stored) if stored else None), "the value of its own registration; it was not measured again"


def folder_of(version: ModelVersion, done: Path) -> Path:
    """The model folder of a version: where it was offered, or else of the same name in `done`, the store of the present
    evaluation, should the workspace have been moved in between."""
    folder = Path(version.tags[FOLDER])
    return folder if folder.is_dir() else done / folder.name


def offer_tags(event: ModelOffered) -> dict[str, str]:
    """What an offer says of a version."""
    tags = {"kepipe.run": event.run, "kepipe.digest": event.digest, FOLDER: event.folder}
    tags |= {EVALUATION: str(event.gate.get("evaluation", "")), DATA: data_of(event)}
    tags |= {metric_tag(name): repr(value) for name, value in event.metrics.items()}
    return tags | {allowed(name): value for name, value in event.tags.items()}


def data_of(event: ModelOffered) -> str:
    """On what an offered model was measured: where the offer does not say, its evaluation."""
    return str(event.gate.get("data", event.gate.get("evaluation", "")))


def metric_tag(metric: str) -> str:
    """The tag of a version that holds a figure."""
    return allowed(f"metric.{metric}")


def conditions_of(tags: Mapping[str, str]) -> list[Sequence[str]]:
    """(condition, how it stands, why) of a version's decision; nothing where the tag is damaged."""
    try:
        rows: Any = json.loads(tags.get(FOUND, "[]"))
        return [[str(cell) for cell in row] for row in rows if len(row) == 3]
    except (ValueError, TypeError):
        return []


def note(name: str, number: str, tags: Mapping[str, str]) -> str:
    """The decision as Markdown, for the descriptions of the version and of the run."""
    became = outcome(tags)
    lines = [f"**{name} version {number}: {became}.** {_cell(tags.get(WHY, ''))}", ""]
    rows = conditions_of(tags)
    if rows:
        lines += ["| condition | | found |", "|---|---|---|"]
        lines += [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return "\n".join([*lines, "", f"Champion before: {tags.get('kepipe.gate.against')}; {tags.get(BASIS)}."])


def outcome(tags: Mapping[str, str]) -> str:
    """What became of a version at the gate."""
    if tags.get(PROMOTED) == "true":
        return "promoted"
    return "waits for approval" if tags.get(WAITS) else "refused"


def page(name: str, number: str, tags: Mapping[str, str]) -> str:
    """The decision as a page of HTML."""
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
    """A text in a cell of Markdown, without what would end the cell or become HTML."""
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")
