"""A pipeline's YAML → a flow of wired stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import Field

from kepipe.config import ConfigError, Key, Section, Settings, merge, nearest, override, read, validate
from kepipe.flow.artifact import Artifact
from kepipe.flow.plan import Flow, Node
from kepipe.flow.stage import Stage
from kepipe.stages.table import STAGES

AnyStage = Stage[Any, Any]
WIRING = ("use", "like", "inputs")
KINDS: Mapping[str, AnyStage] = {stage.name: stage for stage in STAGES}


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


def load(file: Path, assignments: Sequence[str] = ()) -> tuple[Flow, dict[str, Any]]:
    """The flow of a pipeline file with `--set` assignments applied, and its settings as plain data.

    Raises ConfigError with file and line.
    """
    settings = override(read(file), assignments)
    pipeline = validate(Pipeline, settings.data, settings)
    given = {"graph": pipeline.graph, "corpus": pipeline.corpus}
    entries = {name: entry for name, entry in given.items() if name in settings.data}
    entries |= {name: entry or {} for name, entry in pipeline.stages.items()}
    nodes: list[Node] = []
    for name in entries:
        at: Key = (name,) if name in ("graph", "corpus") else ("stages", name)
        _add(nodes, name, _resolve(name, entries, settings, at, ()), settings, at)
    return Flow(pipeline.name, pipeline.seed, pipeline.device, nodes), settings.data


def _resolve(
    name: str, entries: Mapping[str, dict[str, Any]], settings: Settings, at: Key, seen: tuple[str, ...]
) -> dict[str, Any]:
    """A stage's entry with `like` followed and `use` filled in."""
    entry = entries[name]
    model = entry.get("like")
    if model is None:
        return {"use": name, **entry}
    if model not in entries or model in (*seen, name):
        hint = nearest(str(model), [other for other in entries if other != name])
        raise ConfigError(f"{settings.where((*at, 'like'))}: `like: {model}` names no other stage{hint}")
    copied = _resolve(model, entries, settings, at, (*seen, name))
    return merge(copied, {key: value for key, value in entry.items() if key != "like"})


def _add(nodes: list[Node], name: str, entry: Mapping[str, Any], settings: Settings, at: Key) -> None:
    """Append a node; stages that make what it needs and that the file does not name come before it."""
    kind = entry["use"]
    if kind not in KINDS:
        hint = nearest(str(kind), list(KINDS))
        raise ConfigError(f"{settings.where(at)}: there is no kind of stage `{kind}`{hint}")
    stage = KINDS[kind]
    config = validate(stage.config, {k: v for k, v in entry.items() if k not in WIRING}, settings, at)
    chosen = {slot: names for slot, names in (entry.get("inputs") or {}).items() if names is not None}
    unknown = [slot for slot in chosen if slot not in stage.slots()]
    if unknown:
        hint = nearest(unknown[0], list(stage.slots()))
        raise ConfigError(f"{settings.where((*at, 'inputs'))}: `{name}` has no input `{unknown[0]}`{hint}")
    inputs = {
        slot: _producers(nodes, name, slot, takes, several, chosen.get(slot), settings, at)
        for slot, (takes, several, optional) in stage.slots().items()
        if slot in chosen or not optional
    }
    nodes.append(Node(name, stage, config, inputs))


def _producers(
    nodes: list[Node],
    name: str,
    slot: str,
    wanted: type[Artifact],
    several: bool,
    chosen: str | list[str] | None,
    settings: Settings,
    at: Key,
) -> Sequence[str]:
    """Names of the nodes that fill an input."""
    where = settings.where((*at, "inputs", slot))
    made = [node.name for node in nodes if node.stage.makes is wanted]
    if chosen is not None:
        names = [chosen] if isinstance(chosen, str) else chosen
        if not several and len(names) != 1:
            raise ConfigError(f"{where}: `{name}` takes one {wanted.__name__}, not {len(names)}")
        for other in names:
            if other not in made:
                hint = nearest(other, made)
                raise ConfigError(f"{where}: `{other}` makes no {wanted.__name__} before `{name}`{hint}")
        return names
    if not made:
        kind = next(stage.name for stage in STAGES if stage.makes is wanted)
        if kind in settings.data.get("stages", {}):
            raise ConfigError(f"{where}: `{name}` needs what `{kind}` makes; put `{kind}` before it")
        _add(nodes, kind, {"use": kind}, settings, at)
        return [kind]
    if len(made) > 1 and not several:
        choices = " and ".join(f"`{other}`" for other in made)
        raise ConfigError(
            f"{where}: {choices} each make a {wanted.__name__}; choose: `inputs: {{{slot}: {made[0]}}}`"
        )
    return made


def schema() -> dict[str, Any]:
    """JSON Schema of a pipeline file, for editors."""
    wiring = {
        "use": {"enum": list(KINDS), "description": "Kind of stage, where its name is another."},
        "like": {"type": "string", "description": "Copy another stage's settings, to change some here."},
        "inputs": {"type": "object", "description": "Input → name of the stage that makes it."},
    }
    definitions: dict[str, Any] = {}
    for kind, stage in KINDS.items():
        section = stage.config.model_json_schema(ref_template="#/$defs/{model}")
        definitions |= section.pop("$defs", {})
        section.pop("required", None)  # `like` may bring it
        section["properties"] = {**section.get("properties", {}), **wiring}
        definitions[f"stage-{kind}"] = section
    top = Pipeline.model_json_schema()
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
