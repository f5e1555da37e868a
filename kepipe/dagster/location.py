"""A code location of Dagster's: all assets, checks, jobs, schedules and sensors of one or more pipelines."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import dagster as dg

from kepipe import pipeline as pipelines
from kepipe.api.running import STORE_VARIABLE, Assignments, assignments, place_of
from kepipe.config import ConfigError
from kepipe.dagster.assets import VALUES, NoValues, PipelineFile, make_assets
from kepipe.dagster.checks import Limits, make_checks
from kepipe.dagster.timing import make_timing
from kepipe.flow.plan import Workspace
from kepipe.pipeline.shipped import find

PIPELINES_VARIABLE = "KEPIPE_PIPELINES"
"""Environment variable: the pipelines of `dagster dev -m kepipe.flow.dagster`, separated like the folders of PATH."""


def definitions(
    *files: str | Path,
    workspace: str | Path | None = None,
    set: Assignments = (),
    limits: Limits | None = None,
) -> dg.Definitions:
    """Dagster definitions of pipelines: an asset per stage, `PIPELINE/STAGE`, with what it depends on.

    `files`: YAML files, or names of pipelines that come with kepipe. `workspace`: else the variable KEPIPE_WORKSPACE,
    else `workspace` here. `set`: settings over those of the files. `limits`: stage → figure → worst value that passes,
    for asset checks: `{"evaluate": {"pretrain/mlm_loss/tokens": 5.0}}`.

    Raises ConfigError for a mistake in a file, for two pipelines of the same name, for limits of an unknown stage.
    """
    place = Workspace(place_of(workspace).resolve(), os.environ.get(STORE_VARIABLE, ""))
    overrides = assignments(set)
    found = [_load(Path(file), place, overrides) for file in files]
    _check_names(found)
    left = dict(limits or {})
    parts = [_definitions(pipeline, _take(pipeline, left)) for pipeline in found]
    if left:
        raise ConfigError(f"limits: no stage `{'`, `'.join(left)}` in {', '.join(map(str, files))}")
    return dg.Definitions.merge(dg.Definitions(resources={VALUES: NoValues()}), *parts)


def from_environment() -> dg.Definitions:
    """The definitions of the pipelines that KEPIPE_PIPELINES names. Raises ConfigError where it names none."""
    files = [name for name in os.environ.get(PIPELINES_VARIABLE, "").split(os.pathsep) if name]
    if not files:
        raise ConfigError(
            f"which pipeline? {PIPELINES_VARIABLE}=pipeline.yaml dagster dev -m kepipe.flow.dagster; several are "
            f"separated by `{os.pathsep}`"
        )
    return definitions(*files)


def _load(file: Path, place: Workspace, overrides: Sequence[str]) -> PipelineFile:
    path = find(file).resolve()
    return PipelineFile(path, pipelines.load(path, overrides)[0], place, overrides)


def _check_names(found: Sequence[PipelineFile]) -> None:
    by_name: dict[str, Path] = {}
    for pipeline in found:
        other = by_name.setdefault(pipeline.flow.name, pipeline.file)
        if other != pipeline.file:
            raise ConfigError(f"{other} and {pipeline.file} are both called {pipeline.flow.name}")


def _take(pipeline: PipelineFile, limits: dict[str, Mapping[str, float]]) -> Limits:
    """Those limits that are about stages of the pipeline; they are removed from `limits`."""
    return {node.name: limits.pop(node.name) for node in pipeline.flow.nodes if node.name in limits}


def _definitions(pipeline: PipelineFile, limits: Limits) -> dg.Definitions:
    assets = make_assets(pipeline)
    timing = make_timing(pipeline, assets)
    return dg.Definitions(
        assets=[assets],
        asset_checks=[make_checks(pipeline, limits)],
        jobs=timing.jobs,
        schedules=timing.schedules,
        sensors=timing.sensors,
    )
