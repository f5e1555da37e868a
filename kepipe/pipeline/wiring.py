"""Entries of a pipeline file → nodes: settings validated, inputs found by type, what nobody named added."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kepipe.config import ConfigError, Key, Settings, merge, suggest, validate
from kepipe.flow.artifact import Artifact
from kepipe.flow.plan import Node
from kepipe.flow.stage import Stage
from kepipe.stages.table import RENAMED, STAGES

AnyStage = Stage[Any, Any]
Entries = Mapping[str, Mapping[str, Any]]
"""Stage name → what the file says of it, in the file's order."""
WIRING = ("use", "like", "inputs")
KINDS: Mapping[str, AnyStage] = {stage.name: stage for stage in STAGES}


def wire(entries: Entries, settings: Settings, places: Mapping[str, Key]) -> list[Node]:
    """The nodes in an order in which each comes after its inputs. `places`: where the file speaks of a stage.

    Raises ConfigError with file and line.
    """
    nodes: list[Node] = []
    for name in entries:
        at = places[name]
        _add(nodes, name, _resolve(name, entries, settings, at, ()), settings, at)
    return nodes


def _resolve(
    name: str, entries: Entries, settings: Settings, at: Key, seen: tuple[str, ...]
) -> dict[str, Any]:
    """A stage's entry with `like` followed and `use` filled in."""
    entry = entries[name]
    _check_wiring(entry, settings, at)
    model = entry.get("like")
    if model is None:
        return {"use": name, **entry}
    if model not in entries or model in (*seen, name):
        hint = suggest(str(model), [other for other in entries if other != name])
        raise ConfigError(f"{settings.where((*at, 'like'))}: `like: {model}` names no other stage{hint}")
    copied = _resolve(model, entries, settings, at, (*seen, name))
    return lay_over(copied, {key: value for key, value in entry.items() if key != "like"})


def lay_over(entry: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A stage's entry with changes: where some settings change of what a name alone stands for, it is spelt out."""
    kind = KINDS.get(str(entry.get("use")))
    spelt = dict(entry)
    for key, name in ({} if kind is None else kind.config.shorthand).items():
        change = changes.get(key)
        if isinstance(entry.get(key), str) and isinstance(change, Mapping) and name not in change:
            spelt[key] = {name: entry[key]}
    return merge(spelt, changes)


def _check_wiring(entry: Mapping[str, Any], settings: Settings, at: Key) -> None:
    """Raise ConfigError unless `use` and `like` are names, and `inputs` has names of stages under names of inputs."""
    for key in ("use", "like"):
        if not isinstance(entry.get(key), str | None):
            raise ConfigError(
                f"{settings.where((*at, key))}: `{key}`: expected one name, found {entry[key]!r}"
            )
    inputs = entry.get("inputs")
    if not isinstance(inputs, Mapping | None):
        raise ConfigError(
            f"{settings.where((*at, 'inputs'))}: `inputs`: expected input and stage, such as `inputs: "
            f"{{model: pretrain}}`, found {inputs!r}"
        )
    for slot, given in (inputs or {}).items():
        names = given if isinstance(given, list) else [given]
        if given is not None and not all(isinstance(name, str) for name in names):
            raise ConfigError(
                f"{settings.where((*at, 'inputs', slot))}: `inputs.{slot}`: expected a stage's name or a list of them, "
                f"found {given!r}"
            )


def _add(nodes: list[Node], name: str, entry: Mapping[str, Any], settings: Settings, at: Key) -> None:
    """Append a node; stages that make what it needs and that the file does not name come before it."""
    kind = entry["use"]
    if kind not in KINDS:
        new = RENAMED.get(str(kind))
        hint = f": it is called `{new}` now" if new else suggest(str(kind), list(KINDS))
        raise ConfigError(f"{settings.where(at)}: there is no kind of stage `{kind}`{hint}")
    stage = KINDS[kind]
    config = validate(stage.config, {k: v for k, v in entry.items() if k not in WIRING}, settings, at)
    given = entry.get("inputs") or {}
    chosen = {slot: names for slot, names in given.items() if names is not None}
    needed = {slot for slot in stage.needs(config) if slot not in given}
    unknown = [slot for slot in chosen if slot not in stage.slots()]
    if unknown:
        hint = suggest(unknown[0], list(stage.slots()))
        raise ConfigError(f"{settings.where((*at, 'inputs'))}: `{name}` has no input `{unknown[0]}`{hint}")
    inputs = {
        slot: _producers(nodes, name, slot, takes, several, chosen.get(slot), settings, at)
        for slot, (takes, several, optional) in stage.slots().items()
        if slot in chosen or slot in needed or not optional
    }
    nodes.append(Node(name, stage, config, inputs))


def _producers(
    nodes: list[Node],
    name: str,
    slot: str,
    takes: type[Artifact],
    several: bool,
    chosen: str | list[str] | None,
    settings: Settings,
    at: Key,
) -> Sequence[str]:
    """Names of the nodes that fill an input.

    Named ones may make something more special than what is wanted (a fine-tuned model is a model); what nobody names is
    filled by exactly what is wanted, so that an evaluation of models does not take up those for a task.
    """
    where = settings.where((*at, "inputs", slot))
    producers = [node.name for node in nodes if issubclass(node.stage.makes, takes)]
    if chosen is not None:
        names = [chosen] if isinstance(chosen, str) else chosen
        if not several and len(names) != 1:
            raise ConfigError(f"{where}: `{name}` takes one {takes.__name__}, not {len(names)}")
        for other in names:
            if other not in producers and _may_be_added(other, takes, settings):
                _add(nodes, other, {"use": other}, settings, at)
            elif other not in producers:
                stages = settings.data.get("stages", {})
                later = other in stages and other not in [node.name for node in nodes]
                hint = "; only a stage that stands before it can" if later else suggest(other, producers)
                raise ConfigError(f"{where}: `{other}` makes no {takes.__name__} before `{name}`{hint}")
        return names
    producers = [node.name for node in nodes if node.stage.makes is takes and not is_variation(node.stage)]
    if not producers:
        kind = next(stage.name for stage in STAGES if stage.makes is takes and not is_variation(stage))
        if kind in settings.data.get("stages", {}):
            raise ConfigError(f"{where}: `{name}` needs what `{kind}` makes; put `{kind}` before it")
        _add(nodes, kind, {"use": kind}, settings, at)
        return [kind]
    if len(producers) > 1 and not several:
        choices = " and ".join(f"`{other}`" for other in producers)
        raise ConfigError(
            f"{where}: {choices} each make a {takes.__name__}; choose: `inputs: {{{slot}: {producers[0]}}}`"
        )
    return producers


def _may_be_added(name: str, takes: type[Artifact], settings: Settings) -> bool:
    """Whether the file does not speak of a stage that is called by its kind and makes what is wanted."""
    kind = KINDS.get(name)
    return kind is not None and issubclass(kind.makes, takes) and name not in settings.data.get("stages", {})


def is_variation(stage: AnyStage) -> bool:
    """Whether a stage needs what it makes, as one that shuffles a graph: it serves only where it is asked for."""
    return any(slot.takes is stage.makes and not slot.optional for slot in stage.slots().values())
