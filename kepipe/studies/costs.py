"""The cost of arms: processor time, memory and parameters, read from the records of finished stages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import prod
from pathlib import Path
from typing import Any

from kepipe.flow.lineage import StageResult
from kepipe.studies.scores import MODEL

FILE = "costs.json"
"""The costs beside a study or scores in MLflow; not part of the results, whose bytes do not depend on the time."""


@dataclass(frozen=True)
class Cost:
    """The cost of one arm, as a mean over its seeds: processor seconds (None: not recorded), peak memory of the process
    in megabytes, and parameters of its largest model; 0: not known."""

    processor_seconds: float | None = None
    memory: float = 0.0
    parameters: int = 0


def costs_as_json(costs: Mapping[str, Cost]) -> dict[str, Any]:
    """Plain data, as `costs_from_json` reads it."""
    return {arm: asdict(cost) for arm, cost in costs.items()}


def costs_from_json(values: Mapping[str, Mapping[str, Any]]) -> dict[str, Cost]:
    """Arm → cost. Raises KeyError, TypeError, AttributeError or ValueError for another format."""
    return {str(arm): _read(cost) for arm, cost in values.items()}


def _read(cost: Mapping[str, Any]) -> Cost:
    seconds = cost["processor_seconds"]
    return Cost(None if seconds is None else float(seconds), float(cost["memory"]), int(cost["parameters"]))


def costs_of_study(study: StageResult, made: Mapping[str, StageResult]) -> dict[str, Cost]:
    """Arm → the cost of its results that the study read, each counted once per copy. `made`: results by digest."""
    results = {name.partition("/")[2]: made[digest] for name, digest in study.inputs() if digest in made}
    by_arm: dict[str, list[list[StageResult]]] = {}
    for copy in study.settings["copies"]:
        own = [results[node] for node in copy["nodes"].values() if node in results]
        by_arm.setdefault(str(copy["arm"]), []).append(own)
    return {arm: _cost(copies) for arm, copies in by_arm.items()}


def costs_of_models(
    scored: StageResult, arms: Iterable[str], made: Mapping[str, StageResult]
) -> dict[str, Cost]:
    """Arm → the cost of the stage that made its model: the input of that name, or the stage itself. `made`: results by
    digest."""
    models = {slot.partition("/")[2]: made[digest] for slot, digest in scored.inputs() if digest in made}
    models[MODEL] = scored
    return {arm: _cost([[models[arm]]]) for arm in arms if arm in models}


def _cost(copies: Sequence[Sequence[StageResult]]) -> Cost:
    every = [each for copy in copies for each in copy]
    seconds = [each.record.get("processor_seconds") for each in every]
    known = [float(value) for value in seconds if value is not None]
    return Cost(
        sum(known) / len(copies) if len(known) == len(every) and every else None,
        max((float(each.record.get("peak_memory", 0.0)) for each in every), default=0.0),
        max((_parameters(each.folder) for each in every), default=0),
    )


def _parameters(folder: Path) -> int:
    """Number of parameters of a model folder; 0 if it has no weights."""
    from safetensors import safe_open

    files = [file for name in ("model", "head") if (file := folder / f"{name}.safetensors").is_file()]
    total = 0
    for file in files:
        with safe_open(file, "numpy") as tensors:
            total += sum(prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    return total
