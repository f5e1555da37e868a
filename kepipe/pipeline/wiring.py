"""Entries of a pipeline file → nodes: validates settings, resolves inputs by type, adds missing stages."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from itertools import count
from typing import Any

from kepipe.config import ConfigError, Key, Section, Settings, merge, suggest, validate
from kepipe.flow.artifact import Artifact
from kepipe.flow.plan import Node
from kepipe.flow.stage import Slot, Stage
from kepipe.pipeline import registered_base
from kepipe.stages.artifacts import Corpus, Shards
from kepipe.stages.from_champion import CHAMPION_STAGE
from kepipe.stages.table import RENAMED, STAGES

AnyStage = Stage[Any, Any]
Entries = Mapping[str, Mapping[str, Any]]
"""Stage name → its entry in the file, in the file's order."""
WIRING = ("use", "like", "inputs")
KINDS: Mapping[str, AnyStage] = {stage.name: stage for stage in STAGES}


class NodeIndex:
    """Nodes in order, indexed by name and type, so that wiring takes linear time."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._makes: dict[str, type[Artifact]] = {}
        self._by_type: dict[type[Artifact], list[str]] = defaultdict(list)

    def append(self, node: Node) -> None:
        """Add a node; its inputs must have been added before."""
        self.nodes.append(node)
        self._makes[node.name] = node.stage.makes
        if not is_variation(node.stage):
            self._by_type[node.stage.makes].append(node.name)

    def __contains__(self, name: str) -> bool:
        return name in self._makes

    def makes(self, name: str, takes: type[Artifact]) -> bool:
        """Whether there is a node of this name whose artifact is of this type or a subclass."""
        return name in self and issubclass(self._makes[name], takes)

    def output_type(self, name: str) -> type[Artifact]:
        """Artifact type of the node of this name."""
        return self._makes[name]

    def makers(self, takes: type[Artifact]) -> list[str]:
        """Names of all nodes whose artifact is of this type or a subclass."""
        return [name for name in self._makes if self.makes(name, takes)]

    def found_by_type(self, takes: type[Artifact]) -> list[str]:
        """Names of the nodes that fill an input of this type by default."""
        return list(self._by_type[takes])


def wire(entries: Entries, settings: Settings, places: Mapping[str, Key]) -> list[Node]:
    """The nodes in topological order. `places`: stage → key in the file.

    Raises ConfigError with file and line.
    """
    wired, resolved = NodeIndex(), dict[str, dict[str, Any]]()
    for name in entries:
        at = places[name]
        _add(wired, name, resolve(name, entries, settings, places, resolved), settings, at)
    return _with_inferred_defaults(wired.nodes)


def _with_inferred_defaults(nodes: Sequence[Node]) -> list[Node]:
    """The nodes with the defaults that depend on their inputs and on downstream stages."""
    downstream: dict[str, list[Section]] = defaultdict(list)
    for node in nodes:
        for name in dict.fromkeys(name for names in node.inputs.values() for name in names):
            downstream[name].append(node.config)
    result = []
    for node in nodes:
        given = [slot for slot, names in node.inputs.items() if names]
        result.append(
            replace(node, config=node.stage.infer_defaults(node.config, given, downstream[node.name]))
        )
    return result


def resolve(
    name: str,
    entries: Entries,
    settings: Settings,
    places: Mapping[str, Key],
    resolved: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    """A stage's entry with `like` resolved through any number of stages and `use` filled in. `resolved`: a cache."""
    chain = [name]
    while (last := chain[-1]) not in resolved:
        entry, at = entries[last], places[last]
        _check_wiring(entry, settings, at)
        model = entry.get("like")
        if model is None:
            resolved[last] = {"use": last, **entry}
        elif model in chain:
            cycle = " → ".join([*chain[chain.index(model) :], model])
            raise ConfigError(f"{settings.where((*at, 'like'))}: `like: {model}` is circular: {cycle}")
        elif model not in entries:
            hint = suggest(str(model), [other for other in entries if other != last])
            raise ConfigError(f"{settings.where((*at, 'like'))}: `like: {model}`: no such other stage{hint}")
        else:
            chain.append(model)
    for model, copy in zip(chain[:0:-1], chain[-2::-1], strict=True):
        changes = {key: value for key, value in entries[copy].items() if key != "like"}
        resolved[copy] = apply_changes(resolved[model], changes)
    return resolved[name]


def apply_changes(entry: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A stage's entry with changes. A setting given by its shorthand is expanded if only some of its fields change."""
    kind = KINDS.get(str(entry.get("use")))
    expanded = dict(entry)
    for key, name in ({} if kind is None else kind.config.shorthand).items():
        change = changes.get(key)
        if isinstance(entry.get(key), str) and isinstance(change, Mapping) and name not in change:
            expanded[key] = {name: entry[key]}
    return merge(expanded, changes)


def _check_wiring(entry: Mapping[str, Any], settings: Settings, at: Key) -> None:
    """Raise ConfigError unless `use` and `like` are names and `inputs` maps inputs to names of stages."""
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


def _add(wired: NodeIndex, name: str, entry: Mapping[str, Any], settings: Settings, at: Key) -> None:
    """Append a node, after stages for its inputs that are missing in the file."""
    kind = entry["use"]
    if kind not in KINDS:
        new = RENAMED.get(str(kind))
        hint = f": it was renamed to `{new}`" if new else suggest(str(kind), list(KINDS))
        raise ConfigError(f"{settings.where(at)}: unknown kind of stage `{kind}`{hint}")
    stage = KINDS[kind]
    if (base := registered_base.parse_registered_base(entry, stage.slots(), settings, at)) is not None:
        entry = base.with_start(_champion_stage(wired, base.champion, stage, settings, at))
    config = validate(stage.config, {k: v for k, v in entry.items() if k not in WIRING}, settings, at)
    given = entry.get("inputs") or {}
    chosen = {slot: names for slot, names in given.items() if names is not None}
    named = {slot: [names] if isinstance(names, str) else names for slot, names in chosen.items()}
    filled = {
        slot: wired.output_type(names[0])
        for slot, names in named.items()
        if len(names) == 1 and names[0] in wired
    }
    needed = {slot for slot in stage.needs(config, filled) if slot not in given}
    slots = stage.slots()
    unknown = [slot for slot in chosen if slot not in slots]
    if unknown:
        hint = suggest(unknown[0], list(slots))
        raise ConfigError(f"{settings.where((*at, 'inputs'))}: `{name}` has no input `{unknown[0]}`{hint}")
    inputs = {
        name_of_slot: _producers(wired, name, name_of_slot, slot, chosen.get(name_of_slot), settings, at)
        for name_of_slot, slot in slots.items()
        if name_of_slot in chosen or name_of_slot in needed or not slot.optional
    }
    wired.append(Node(name, stage, config, inputs))


def _champion_stage(
    wired: NodeIndex, entry: Mapping[str, Any], taker: AnyStage, settings: Settings, at: Key
) -> str:
    """The name of a stage that loads a model from the registry: an existing one with these settings, or a new one."""
    config = validate(
        CHAMPION_STAGE.config, {k: v for k, v in entry.items() if k not in WIRING}, settings, at
    )
    for node in wired.nodes:
        if node.stage is CHAMPION_STAGE and node.config == config:
            return node.name
    has_text = wired.found_by_type(Corpus) or any(slot.takes is Shards for slot in taker.slots().values())
    if not config.at.isdecimal() and not has_text:
        raise ConfigError(
            f"{settings.where((*at, 'base', 'from'))}: an alias is only resolved anew when the `corpus` changes, and "
            f"this pipeline has none: give a version, such as `models:/{config.name}/1`"
        )
    kind, taken = str(entry["use"]), settings.data.get("stages", {})
    names = (kind if number == 1 else f"{kind}-{number}" for number in count(1))
    name = next(name for name in names if name not in wired and name not in taken)
    _add(wired, name, entry, settings, at)
    return name


def _producers(
    wired: NodeIndex,
    name: str,
    slot: str,
    wanted: Slot,
    chosen: str | list[str] | None,
    settings: Settings,
    at: Key,
) -> Sequence[str]:
    """Names of the nodes that fill an input.

    Named nodes may make a subclass of the input's type (a fine-tuned model is a model). Without names, only nodes of
    the exact type are taken, so that an evaluation of models does not include fine-tuned ones.
    """
    where, takes, several = settings.where((*at, "inputs", slot)), wanted.takes, wanted.several
    if chosen is not None:
        names = [chosen] if isinstance(chosen, str) else chosen
        if not several and len(names) != 1:
            raise ConfigError(f"{where}: `{name}` takes one {takes.__name__}, not {len(names)}")
        for other in names:
            if wired.makes(other, takes):
                continue
            if _may_be_added(other, takes, settings):
                _add(wired, other, {"use": other}, settings, at)
            else:
                later = other in settings.data.get("stages", {}) and other not in wired
                hint = f"; move `{other}` before `{name}`" if later else suggest(other, wired.makers(takes))
                raise ConfigError(
                    f"{where}: `{other}` is not a stage before `{name}` that makes `{takes.__name__}`{hint}"
                )
        return names
    producers = wired.found_by_type(takes)
    if not producers and not wanted.if_available:
        kind = next(stage.name for stage in STAGES if stage.makes is takes and not is_variation(stage))
        if kind in settings.data.get("stages", {}):
            raise ConfigError(f"{where}: `{name}` needs the output of `{kind}`; move `{kind}` before it")
        _add(wired, kind, {"use": kind}, settings, at)
        return [kind]
    if len(producers) > 1 and not several:
        choices = " and ".join(f"`{other}`" for other in producers)
        raise ConfigError(
            f"{where}: {choices} each make a {takes.__name__}; choose: `inputs: {{{slot}: {producers[0]}}}`"
        )
    return producers


def _may_be_added(name: str, takes: type[Artifact], settings: Settings) -> bool:
    """Whether a stage that is named after its kind and makes the wanted type is missing in the file and may be
    added."""
    kind = KINDS.get(name)
    return kind is not None and issubclass(kind.makes, takes) and name not in settings.data.get("stages", {})


@cache
def is_variation(stage: AnyStage) -> bool:
    """Whether a stage takes and makes the same type, like one that shuffles a graph. Such a stage is only used where it
    is named. A stage that takes any available inputs, like a mixture of models, is not one."""
    slots = stage.slots().values()
    return any(slot.takes is stage.makes and not (slot.optional or slot.if_available) for slot in slots)
