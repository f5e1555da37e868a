"""Load a pipeline file: YAML → a flow of wired stages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from kepipe.config import ConfigError, Key, Section, Settings, override, read, validate
from kepipe.flow.plan import Flow, Node, Workspace
from kepipe.pipeline import conflicts
from kepipe.pipeline.profiles import with_profile
from kepipe.pipeline.study import NAME as STUDY
from kepipe.pipeline.study import Study, expand
from kepipe.pipeline.variants import expand_variants
from kepipe.pipeline.wiring import KINDS, Entries, resolve, wire
from kepipe.pipeline.written import WrittenEntry, written_entries

__all__ = ["KINDS", "Pipeline", "WrittenEntry", "load", "read_entries", "schema", "with_all_settings"]


class Pipeline(Section):
    """A pipeline file. `graph` and `corpus` give the data; `stages` lists the processing steps in order."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    """Name of the pipeline: lower-case letters, digits and dashes; also the name of its folder in the workspace."""
    seed: int = Field(0, ge=0)
    """Random seed."""
    device: str = "auto"
    """Device of the models: auto, cpu, cuda, cuda:1, mps."""
    profile: str | None = None
    """The profile to use; `--profile NAME` sets it. null: none."""
    profiles: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Profile name → settings for another machine, as they stand in this file, that take the place of these."""
    graph: dict[str, Any] = Field(default_factory=dict)
    """Settings of the stage `graph`."""
    corpus: dict[str, Any] = Field(default_factory=dict)
    """Settings of the stage `corpus`."""
    stages: dict[str, dict[str, Any] | None]
    """Stage name → its settings. `use`: the kind of stage, if it differs from the name; `like`: another stage whose
    settings are copied; `inputs`: the stages that fill the inputs, if several could."""
    study: Study | None = None
    """A controlled comparison: stages that are repeated for each arm and seed, and the metrics to compare."""


def load(file: Path, assignments: Sequence[str] = ()) -> tuple[Flow, dict[str, Any]]:
    """The flow of a pipeline file with `--set` assignments applied, and its settings as plain data.

    Raises ConfigError with file and line.
    """
    wired = _wire(file, assignments)
    pipeline, settings, places = wired.pipeline, wired.settings, dict(wired.places)
    expanded = expand_variants(wired.nodes, settings, places)
    nodes = expanded.nodes
    if pipeline.study is not None:
        nodes = expand(pipeline.study, pipeline.seed, wired.nodes, wired.entries, settings, places)
        places |= {STUDY: (STUDY,)}
    places |= {name: places[stage] for stage, names in expanded.names.items() for name in names}
    conflicts.raise_conflicts(nodes, settings, places)
    return Flow(pipeline.name, pipeline.seed, pipeline.device, nodes), settings.data


def read_entries(file: Path, assignments: Sequence[str]) -> list[WrittenEntry]:
    """The entries of stages in the settings that `load` returns. Raises ConfigError as it does."""
    wired = _wire(file, assignments)
    return list(written_entries(wired.entries, wired.places, wired.settings, wired.pipeline.study))


def with_all_settings(file: Path, assignments: Sequence[str] = ()) -> dict[str, Any]:
    """An equivalent pipeline file, as plain data, with all defaults and with the stages that were added automatically.
    Raises ConfigError as `load` does.

    In a study, `like` is kept, because the copied settings depend on the arm, and automatic inputs are left out,
    because they are resolved for each arm.
    """
    load(file, assignments)
    wired = _wire(file, assignments)
    study = wired.pipeline.study
    stages = {node.name: _entry(node, wired, arms=study is not None) for node in wired.nodes}
    pipeline = wired.pipeline
    complete = {"name": pipeline.name, "seed": pipeline.seed, "device": pipeline.device, "stages": stages}
    return complete if study is None else {**complete, STUDY: study.as_yaml()}


def _entry(node: Node, wired: _WiredPipeline, *, arms: bool) -> dict[str, Any]:
    """The entry of a stage in the file."""
    entry: Mapping[str, Any] = wired.entries.get(node.name, {})
    if arms and "like" in entry:
        return dict(entry)
    if node.name in wired.entries:
        entry = resolve(node.name, wired.entries, wired.settings, wired.places, {})
    inputs = dict(entry.get("inputs") or {})
    if not arms:
        inputs |= {slot: list(names) for slot, names in node.inputs.items()}
    return {
        **({} if node.stage.name == node.name else {"use": node.stage.name}),
        **({"inputs": inputs} if inputs else {}),
        **node.config.as_yaml(),
    }


@dataclass(frozen=True)
class _WiredPipeline:
    """A pipeline file before its study is expanded. `entries`: stage → entry; `places`: stage → key in the file."""

    pipeline: Pipeline
    settings: Settings
    entries: Entries
    places: Mapping[str, Key]
    nodes: list[Node]


def _wire(file: Path, assignments: Sequence[str]) -> _WiredPipeline:
    written = read(file)
    profile = override(written, assignments).data.get("profile")
    settings = override(with_profile(written, profile), assignments)
    pipeline = validate(Pipeline, settings.data, settings)
    _check_names(pipeline, settings)
    given = {"graph": pipeline.graph, "corpus": pipeline.corpus}
    entries = {name: entry for name, entry in given.items() if name in settings.data}
    entries |= {name: entry or {} for name, entry in pipeline.stages.items()}
    places: dict[str, Key] = {
        name: ("stages", name) if name in pipeline.stages else (name,) for name in entries
    }
    return _WiredPipeline(pipeline, settings, entries, places, wire(entries, settings, places))


def _check_names(pipeline: Pipeline, settings: Settings) -> None:
    """Check names, which become folders of the workspace and parts of `stage.arm.seed`."""
    if pipeline.name in Workspace.RESERVED:
        raise ConfigError(
            f"{settings.where(('name',))}: `name`: `{pipeline.name}` is a reserved folder of the workspace; "
            "choose another"
        )
    for name in pipeline.stages:
        if not re.fullmatch(r"\w[\w-]*", name):
            raise ConfigError(
                f"{settings.where(('stages', name))}: `stages.{name}`: expected a name of letters, digits, dashes and "
                "underscores"
            )


def schema() -> dict[str, Any]:
    """JSON Schema of a pipeline file, for editors."""
    wiring = {
        "use": {"enum": list(KINDS), "description": "Kind of stage, if it differs from the stage's name."},
        "like": {
            "type": "string",
            "description": "Copy another stage's settings; settings here override them.",
        },
        "inputs": {"type": "object", "description": "Input → name of the stage that makes it."},
    }
    top = Pipeline.model_json_schema()
    definitions: dict[str, Any] = top.pop("$defs", {})
    for kind, stage in KINDS.items():
        section = stage.config.model_json_schema(ref_template="#/$defs/{model}")
        definitions |= section.pop("$defs", {})
        section.pop("required", None)  # `like` may provide it
        section["properties"] = {**section.get("properties", {}), **wiring}
        definitions[f"stage-{kind}"] = section
    references = {kind: {"$ref": f"#/$defs/stage-{kind}"} for kind in KINDS}
    for kind in ("graph", "corpus"):
        top["properties"][kind] = {**references[kind], "description": top["properties"][kind]["description"]}
    top["properties"]["stages"] |= {
        "properties": {kind: {"anyOf": [ref, {"type": "null"}]} for kind, ref in references.items()},
        "additionalProperties": {
            "oneOf": [
                {"properties": {"use": {"const": kind}}, "required": ["use"], "allOf": [ref]}
                for kind, ref in references.items()
            ]
            + [{"required": ["like"], "not": {"required": ["use"]}}]
        },
    }
    top["$defs"] = definitions
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **top}
