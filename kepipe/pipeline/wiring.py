"""Entries of a pipeline file → nodes: settings validated, inputs found by type, what nobody named added."""

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
"""Stage name → what the file says of it, in the file's order."""
WIRING = ("use", "like", "inputs")
KINDS: Mapping[str, AnyStage] = {stage.name: stage for stage in STAGES}


class Wired:
    """Nodes in order, with an index for what is asked of them: time grows with the number of stages, not its square."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self._makes: dict[str, type[Artifact]] = {}
        self._by_type: dict[type[Artifact], list[str]] = defaultdict(list)

    def append(self, node: Node) -> None:
        """Add a node, which comes after its inputs."""
        self.nodes.append(node)
        self._makes[node.name] = node.stage.makes
        if not is_variation(node.stage):
            self._by_type[node.stage.makes].append(node.name)

    def __contains__(self, name: str) -> bool:
        return name in self._makes

    def makes(self, name: str, takes: type[Artifact]) -> bool:
        """Whether there is a node of this name that makes an artifact of this type, or one more special."""
        return name in self and issubclass(self._makes[name], takes)

    def made_by(self, name: str) -> type[Artifact]:
        """What the node of this name makes."""
        return self._makes[name]

    def makers(self, takes: type[Artifact]) -> list[str]:
        """Names of all nodes that make an artifact of this type, or one more special."""
        return [name for name in self._makes if self.makes(name, takes)]

    def found_by_type(self, takes: type[Artifact]) -> list[str]:
        """Names of the nodes that fill an input where the pipeline names none."""
        return list(self._by_type[takes])


def wire(entries: Entries, settings: Settings, places: Mapping[str, Key]) -> list[Node]:
    """The nodes in an order in which each comes after its inputs. `places`: where the file speaks of a stage.

    Raises ConfigError with file and line.
    """
    wired, resolved = Wired(), dict[str, dict[str, Any]]()
    for name in entries:
        at = places[name]
        _add(wired, name, resolve(name, entries, settings, places, resolved), settings, at)
    return _adopted(wired.nodes)


def _adopted(nodes: Sequence[Node]) -> list[Node]:
    """The nodes with the settings that follow from what they take, and from those that take what they make."""
    takers: dict[str, list[Section]] = defaultdict(list)
    for node in nodes:
        for name in dict.fromkeys(name for names in node.inputs.values() for name in names):
            takers[name].append(node.config)
    adopted = []
    for node in nodes:
        given = [slot for slot, names in node.inputs.items() if names]
        adopted.append(replace(node, config=node.stage.infer_defaults(node.config, given, takers[node.name])))
    return adopted


def resolve(
    name: str,
    entries: Entries,
    settings: Settings,
    places: Mapping[str, Key],
    resolved: dict[str, dict[str, Any]],
) -> dict[str, Any]:
    """A stage's entry with `like` followed, however far it leads, and `use` filled in. `resolved`: those known."""
    chain = [name]
    while (last := chain[-1]) not in resolved:
        entry, at = entries[last], places[last]
        _check_wiring(entry, settings, at)
        model = entry.get("like")
        if model is None:
            resolved[last] = {"use": last, **entry}
        elif model in chain:
            circle = " → ".join([*chain[chain.index(model) :], model])
            raise ConfigError(
                f"{settings.where((*at, 'like'))}: `like: {model}` leads back to itself: {circle}"
            )
        elif model not in entries:
            hint = suggest(str(model), [other for other in entries if other != last])
            raise ConfigError(f"{settings.where((*at, 'like'))}: `like: {model}` names no other stage{hint}")
        else:
            chain.append(model)
    for model, copy in zip(chain[:0:-1], chain[-2::-1], strict=True):
        changes = {key: value for key, value in entries[copy].items() if key != "like"}
        resolved[copy] = lay_over(resolved[model], changes)
    return resolved[name]


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


def _add(wired: Wired, name: str, entry: Mapping[str, Any], settings: Settings, at: Key) -> None:
    """Append a node; stages that make what it needs and that the file does not name come before it."""
    kind = entry["use"]
    if kind not in KINDS:
        new = RENAMED.get(str(kind))
        hint = f": it is called `{new}` now" if new else suggest(str(kind), list(KINDS))
        raise ConfigError(f"{settings.where(at)}: there is no kind of stage `{kind}`{hint}")
    stage = KINDS[kind]
    if (base := registered_base.of(entry, stage.slots(), settings, at)) is not None:
        entry = base.with_start(_champion(wired, base.champion, stage, settings, at))
    config = validate(stage.config, {k: v for k, v in entry.items() if k not in WIRING}, settings, at)
    given = entry.get("inputs") or {}
    chosen = {slot: names for slot, names in given.items() if names is not None}
    named = {slot: [names] if isinstance(names, str) else names for slot, names in chosen.items()}
    filled = {
        slot: wired.made_by(names[0])
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


def _champion(wired: Wired, entry: Mapping[str, Any], taker: AnyStage, settings: Settings, at: Key) -> str:
    """The name of a stage that takes a model from the registry: one that is there with these settings, or a new one."""
    config = validate(
        CHAMPION_STAGE.config, {k: v for k, v in entry.items() if k not in WIRING}, settings, at
    )
    for node in wired.nodes:
        if node.stage is CHAMPION_STAGE and node.config == config:
            return node.name
    has_text = wired.found_by_type(Corpus) or any(slot.takes is Shards for slot in taker.slots().values())
    if not config.at.isdecimal() and not has_text:
        raise ConfigError(
            f"{settings.where((*at, 'base', 'from'))}: an alias is looked up where the text changes, and there is no "
            f"`corpus` here: name a version, such as `models:/{config.name}/1`"
        )
    kind, taken = str(entry["use"]), settings.data.get("stages", {})
    names = (kind if number == 1 else f"{kind}-{number}" for number in count(1))
    name = next(name for name in names if name not in wired and name not in taken)
    _add(wired, name, entry, settings, at)
    return name


def _producers(
    wired: Wired,
    name: str,
    slot: str,
    wanted: Slot,
    chosen: str | list[str] | None,
    settings: Settings,
    at: Key,
) -> Sequence[str]:
    """Names of the nodes that fill an input.

    Named ones may make something more special than what is wanted (a fine-tuned model is a model); what nobody names is
    filled by exactly what is wanted, so that an evaluation of models does not take up those for a task.
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
                hint = (
                    "; only a stage that stands before it can"
                    if later
                    else suggest(other, wired.makers(takes))
                )
                raise ConfigError(f"{where}: `{other}` makes no {takes.__name__} before `{name}`{hint}")
        return names
    producers = wired.found_by_type(takes)
    if not producers and not wanted.if_available:
        kind = next(stage.name for stage in STAGES if stage.makes is takes and not is_variation(stage))
        if kind in settings.data.get("stages", {}):
            raise ConfigError(f"{where}: `{name}` needs what `{kind}` makes; put `{kind}` before it")
        _add(wired, kind, {"use": kind}, settings, at)
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


@cache
def is_variation(stage: AnyStage) -> bool:
    """Whether a stage needs what it makes, as one that shuffles a graph: it serves only where it is asked for. One that
    takes what there is, as a mixture of models does, is none."""
    slots = stage.slots().values()
    return any(slot.takes is stage.makes and not (slot.optional or slot.if_available) for slot in slots)
