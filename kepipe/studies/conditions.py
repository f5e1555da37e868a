"""Checks that arms were trained alike, from the records in the models' folders.

Within a stage and a seed, the arms must have the same seed, number of steps, data, and settings that order the data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from kepipe.flow.artifact import Artifact, hash_json, read_manifest
from kepipe.studies.design import DATA_SETTINGS, Design
from kg.regular_files import read_json

STATED = ("seed", "steps", "shards", "data", "tokens", "rows")
"""Keys of a model's `kepipe.json` that record the data and the length of training."""
SOURCES = "sources"
"""The user's files and the base model that the stage read, as one digest."""


class NotComparable(ValueError):
    """The arms differ in conditions that the study does not vary."""


def check_conditions(design: Design, results: Mapping[str, Artifact]) -> dict[str, dict[str, Any]]:
    """Stage → condition → the value that all arms share (by seed, if it differs between seeds).

    Raises NotComparable, with arms and seeds, if the arms differ, or if seed and steps are not recorded.
    """
    shared: dict[str, dict[str, Any]] = {}
    for stage in dict.fromkeys(stage for copy in design.copies for stage in copy.nodes):
        for seed in design.seeds():
            stated = {
                copy.arm: _stated(results[copy.nodes[stage]])
                for copy in design.copies
                if copy.seed == seed and stage in copy.nodes and copy.nodes[stage] in results
            }
            models = {arm: conditions for arm, conditions in stated.items() if conditions is not None}
            for name, value in _agreed(design, stage, seed, models):
                shared.setdefault(stage, {}).setdefault(name, {})[str(seed)] = value
    return {
        stage: {name: _folded(by_seed) for name, by_seed in conditions.items()}
        for stage, conditions in shared.items()
    }


def check_cases(design: Design, metric: str, seed: int, cases: Mapping[str, int | None]) -> None:
    """Raise NotComparable if arms were measured on different numbers of cases."""
    if "cases" not in design.may_differ:
        _same(f"`{metric}`", "cases", seed, cases, "cases")


def _agreed(
    design: Design, stage: str, seed: int, models: Mapping[str, Mapping[str, Any]]
) -> Iterator[tuple[str, Any]]:
    for name in (*STATED, SOURCES, *DATA_SETTINGS):
        values = {arm: stated.get(name) for arm, stated in models.items()}
        if all(value is None for value in values.values()):
            if models and name in ("seed", "steps") and name not in design.may_differ:
                raise NotComparable(
                    f"the models of `{stage}` have no {name} in kepipe.json, so it cannot be checked that the arms "
                    f"were trained alike; `may_differ: [{name}]` skips this check"
                )
            continue
        if name in design.may_differ:
            continue
        _same(f"`{stage}`", name, seed, values, name)
        yield name, next(iter(values.values()))


def _same(what: str, condition: str, seed: int, values: Mapping[str, Any], key: str) -> None:
    distinct = {json.dumps(value, sort_keys=True) for value in values.values()}
    if len(distinct) > 1:
        differing = ", ".join(f"{_short(value)} in `{arm}`" for arm, value in values.items())
        raise NotComparable(
            f"the arms are not comparable: with seed {seed}, {condition} of {what} is {differing}; make them equal, "
            f"or allow the difference with `may_differ: [{key}]`"
        )


def _stated(artifact: Artifact) -> dict[str, Any] | None:
    """The training conditions recorded in a model folder; None for a result that is not a model."""
    file = artifact.folder / "kepipe.json"
    if not file.exists():
        return None
    provenance: dict[str, Any] = read_json(file)
    config, sources = (
        provenance.get("config", {}),
        read_manifest(artifact.folder)["cache_key_inputs"].get("sources"),
    )
    beside = {SOURCES: hash_json(sources)} if sources else {}
    return (
        beside
        | {name: config[name] for name in DATA_SETTINGS if name in config}
        | {name: provenance[name] for name in STATED if provenance.get(name, "") != ""}  # "": none was used
    )


def _folded(by_seed: Mapping[str, Any]) -> Any:
    """The value of all seeds, or the values by seed if they differ."""
    values = list(by_seed.values())
    return values[0] if all(value == values[0] for value in values) else dict(by_seed)


def _short(value: Any) -> str:
    text = "not recorded" if value is None else str(value)
    return text if len(text) <= 16 else text[:12]
