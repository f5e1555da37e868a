"""Figures of a finished stage by name: from `scores.json`, otherwise from its logged values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kepipe.config import suggest
from kepipe.flow.artifact import Artifact
from kepipe.studies.scores import FILE, MODEL, Metrics, Scores, from_json, is_scores
from kg.regular_files import read_json


class NoFigure(ValueError):
    """A result does not have the requested figure; the message suggests the most similar one."""


@dataclass(frozen=True)
class Figure:
    """A value, and its number of cases (None if not recorded)."""

    value: float
    cases: int | None = None


def read_figure(artifact: Artifact, metric: str, stages: Mapping[str, str]) -> Figure:
    """The figure `metric` of a result, such as `test/micro_f1` or `entity_cloze/mrr`.

    `stages` maps node name → the stage that it is a copy of: the scores of an evaluation have the name of the model's
    node, and are requested by the name of the stage (`pretrain/entity_cloze/mrr`), or without it if there is one model.
    Raises NoFigure, and ValueError if several models have the figure.
    """
    scores, logged = _scores(artifact, stages), _logged(artifact)
    under = [f"{arm}/{metric}" for arm in dict.fromkeys((*stages.values(), MODEL))]
    of_a_model = [name for name in under if name in scores]
    for figures, name in ((scores, metric), *((scores, name) for name in of_a_model), (logged, metric)):
        if name in figures and len(of_a_model) <= 1:
            return figures[name]
    known = [*(name.removeprefix(f"{MODEL}/") for name in scores), *logged]
    message = f"`{artifact.name}` has no single figure `{metric}`{suggest(metric, known)}"
    raise ValueError(message) if of_a_model else NoFigure(message)


def _scores(artifact: Artifact, stages: Mapping[str, str]) -> dict[str, Figure]:
    """The figures of `scores.json`, with nodes renamed to the stages that they are copies of."""
    file = artifact.folder / FILE
    values = read_json(file) if file.exists() else {}
    return dict(_of_scores(from_json(values), stages) if is_scores(values) else _flatten(values))


def _of_scores(scores: Scores, stages: Mapping[str, str]) -> Iterator[tuple[str, Figure]]:
    for arm, measured in scores.arms.items():
        yield from _named(stages.get(arm, arm), measured)
    for difference in (*scores.differences, *scores.baseline_differences):
        yield from _named(f"differences/{difference.name}", difference.scores)
    for name, baselines in scores.baselines.items():
        yield from _named(f"baselines/{name}", baselines)


def _named(at: str, scores: Mapping[str, Metrics]) -> Iterator[tuple[str, Figure]]:
    for name, metrics in scores.items():
        for metric, score in metrics.items():
            yield f"{at}/{name}/{metric}", Figure(score.value, score.cases)


def _logged(artifact: Artifact) -> dict[str, Figure]:
    """The last logged value of each name."""
    logged: dict[str, Figure] = {}
    for entry in artifact.metrics():
        logged |= {name: Figure(float(value)) for name, value in entry.items() if name != "step"}
    return logged


def _flatten(value: Any, at: str = "") -> Iterator[tuple[str, Figure]]:
    """The figures of a stage that does not score models, such as the linker's: all numbers, by path."""
    if isinstance(value, Mapping):
        single = isinstance(value.get("value"), int | float)
        if single:
            yield at, Figure(float(value["value"]), value.get("cases"))
        for name, inner in value.items():
            if isinstance(inner, Mapping) or not single:
                yield from _flatten(inner, f"{at}/{name}" if at else str(name))
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield at, Figure(float(value))
