"""A pipeline's YAML → a flow of wired stages."""

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
from kepipe.pipeline.study import NAME as STUDY
from kepipe.pipeline.study import Study, expand
from kepipe.pipeline.variants import spread
from kepipe.pipeline.wiring import KINDS, Entries, resolve, wire

__all__ = ["KINDS", "Pipeline", "load", "schema", "spelt_out"]


class Pipeline(Section):
    """A pipeline file. `graph` and `corpus` say where the data is; `stages` say what is done with it, in order."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    """Name of the pipeline: small letters, digits and dashes. Its results stand under this name in the workspace."""
    seed: int = Field(0, ge=0)
    """Seed of every random draw."""
    device: str = "auto"
    """Where models run: auto, cpu, cuda, cuda:1, mps."""
    graph: dict[str, Any] = Field(default_factory=dict)
    """Settings of the stage `graph`."""
    corpus: dict[str, Any] = Field(default_factory=dict)
    """Settings of the stage `corpus`."""
    stages: dict[str, dict[str, Any] | None]
    """Stage name → its settings. `use` gives the kind where the name is another; `like` copies another stage's
    settings, to change some; `inputs` chooses among several stages that make the same."""
    study: Study | None = None
    """A controlled comparison: stages repeated for each arm and each seed, and what is measured of them."""


def load(file: Path, assignments: Sequence[str] = ()) -> tuple[Flow, dict[str, Any]]:
    """The flow of a pipeline file with `--set` assignments applied, and its settings as plain data.

    Raises ConfigError with file and line.
    """
    wired = _wire(file, assignments)
    pipeline, settings, places = wired.pipeline, wired.settings, dict(wired.places)
    whole = spread(wired.nodes, settings, places)
    nodes = whole.nodes
    if pipeline.study is not None:
        nodes = expand(pipeline.study, pipeline.seed, wired.nodes, wired.entries, settings, places)
        places |= {STUDY: (STUDY,)}
    places |= {name: places[stage] for stage, names in whole.names.items() for name in names}
    conflicts.refuse(nodes, settings, places)
    return Flow(pipeline.name, pipeline.seed, pipeline.device, nodes), settings.data


def spelt_out(file: Path, assignments: Sequence[str] = ()) -> dict[str, Any]:
    """A pipeline file that says the same with every setting written, those of stages that nobody named included, as
    plain data. Raises ConfigError as `load` does.

    In a study, what is `like` another stage stays so, for it follows the arms; inputs that nobody named are found anew
    for each arm.
    """
    load(file, assignments)
    wired = _wire(file, assignments)
    study = wired.pipeline.study
    stages = {node.name: _entry(node, wired, arms=study is not None) for node in wired.nodes}
    pipeline = wired.pipeline
    whole = {"name": pipeline.name, "seed": pipeline.seed, "device": pipeline.device, "stages": stages}
    return whole if study is None else {**whole, STUDY: study.as_yaml()}


def _entry(node: Node, wired: _Wired, *, arms: bool) -> dict[str, Any]:
    """What a file says of a stage."""
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
class _Wired:
    """A pipeline file before a study makes copies of its stages. `entries`: what it says of each; `places`: where."""

    pipeline: Pipeline
    settings: Settings
    entries: Entries
    places: Mapping[str, Key]
    nodes: list[Node]


def _wire(file: Path, assignments: Sequence[str]) -> _Wired:
    settings = override(read(file), assignments)
    pipeline = validate(Pipeline, settings.data, settings)
    _check_names(pipeline, settings)
    given = {"graph": pipeline.graph, "corpus": pipeline.corpus}
    entries = {name: entry for name, entry in given.items() if name in settings.data}
    entries |= {name: entry or {} for name, entry in pipeline.stages.items()}
    places: dict[str, Key] = {
        name: ("stages", name) if name in pipeline.stages else (name,) for name in entries
    }
    return _Wired(pipeline, settings, entries, places, wire(entries, settings, places))


def _check_names(pipeline: Pipeline, settings: Settings) -> None:
    """Names become folders of the workspace, and parts of `stage.arm.seed`."""
    if pipeline.name in Workspace.RESERVED:
        raise ConfigError(
            f"{settings.where(('name',))}: `name`: `{pipeline.name}` is a folder of the workspace's own; choose another"
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
        "use": {"enum": list(KINDS), "description": "Kind of stage, where its name is another."},
        "like": {"type": "string", "description": "Copy another stage's settings, to change some here."},
        "inputs": {"type": "object", "description": "Input → name of the stage that makes it."},
    }
    top = Pipeline.model_json_schema()
    definitions: dict[str, Any] = top.pop("$defs", {})
    for kind, stage in KINDS.items():
        section = stage.config.model_json_schema(ref_template="#/$defs/{model}")
        definitions |= section.pop("$defs", {})
        section.pop("required", None)  # `like` may bring it
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
