"""Arms of a study: each is the pipeline file with some settings changed. Control arms are generated."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kepipe.config import ConfigError, Key, Settings, merge, suggest
from kepipe.flow.plan import Node
from kepipe.knowledge.base import Control, KnowledgeSettings, TakesKnowledge
from kepipe.knowledge.table import METHODS, controls_of, inputs_of, method_of, name_of
from kepipe.pipeline.wiring import KINDS, Entries, apply_changes

ON = "graph-on"
Changes = Mapping[str, Mapping[str, Any]]
"""Stage → settings that override those of the file."""


@dataclass(frozen=True)
class Arm:
    """A pipeline file with changes."""

    name: str
    changes: Changes = field(default_factory=dict)
    before: Mapping[str, Entries] = field(default_factory=dict)
    """Stage → names and entries of the stages that are inserted before it."""

    def entries(
        self, entries: Entries, places: Mapping[str, Key], settings: Settings
    ) -> tuple[dict[str, Mapping[str, Any]], dict[str, Key]]:
        """The entries of this arm, and the key of each in the file."""
        root: Key = ("study", "arms", self.name)
        for stage in self.changes:
            if stage not in entries:
                hint = suggest(stage, list(entries))
                raise ConfigError(f"{settings.where((*root, stage))}: the file has no stage `{stage}`{hint}")
        for added in (added for its in self.before.values() for added in its if added in entries):
            raise ConfigError(
                f"{settings.where(places[added])}: `{added}` is the name of a stage that arm `{self.name}` adds; "
                "rename this one"
            )
        entries_of_arm: dict[str, Mapping[str, Any]] = {}
        at: dict[str, Key] = {}
        for name, entry in entries.items():
            for added, its_entry in self.before.get(name, {}).items():
                entries_of_arm[added], at[added] = its_entry, ("study", "controls")
            named = entry if "like" in entry else {"use": name, **entry}
            entries_of_arm[name] = apply_changes(named, self.changes.get(name, {}))
            at[name] = (*root, name) if name in self.changes else places[name]
        return entries_of_arm, at

    def describe_changes(self) -> dict[str, str]:
        """Setting → its value in this arm, as text: `pretrain.inputs.vectors` → `none`."""
        return dict(_leaves(self.changes))


def _leaves(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{at}.{name}" if at else str(name))
    elif at.count("."):
        yield at, "none" if value is None else str(value)


def make_arms(
    given: Mapping[str, Changes], controls: Sequence[str], generated: Mapping[str, Arm]
) -> list[Arm]:
    """The arms, controls last. `generated`: the return value of `make_controls`. Raises ValueError for an invalid
    name."""
    for name in given:
        if not re.fullmatch(r"[A-Za-z][\w-]*", name):
            raise ValueError(f"arm `{name}`: expected a name of letters, digits and dashes, a letter first")
    tested = {name: changes for name, changes in given.items() if name not in controls}
    if not tested and set(controls) & generated.keys():
        tested = {ON: {}}
    arms = [Arm(name, changes) for name, changes in tested.items()]
    for name in controls:
        arm = generated.get(name, Arm(name))
        arms.append(replace(arm, changes=merge(arm.changes, given.get(name, {}))))
    return arms


def make_controls(nodes: Sequence[Node]) -> dict[str, Arm]:
    """The control arms that the knowledge methods of the stages declare (`controls_of`); empty without knowledge.

    A control removes a stage's knowledge, or replaces one of its inputs by that of an inserted stage (such as a
    shuffled graph), changes its method's settings, or replaces its method by another, with the settings that both
    methods have.
    """
    of_nodes = {node.name: node.config.knowledge for node in nodes if isinstance(node.config, TakesKnowledge)}
    methods = [settings for own in of_nodes.values() for settings in own]
    changes: dict[str, dict[str, dict[str, Any]]] = {}
    before: dict[str, dict[str, dict[str, Mapping[str, Any]]]] = {}
    for control in (control for settings in methods for control in controls_of(method_of(settings))):
        arm, added = changes.setdefault(control.name, {}), before.setdefault(control.name, {})
        for node in (node for node in nodes if node.name in of_nodes):
            if control.replaced_by:
                _replace_inputs(control, node, arm, added)
            elif control.settings:
                _change_settings(control, node, of_nodes[node.name], arm)
            else:
                unused = {name: None for name in inputs_of(methods) if name in node.inputs}
                _replace_methods(control, node, of_nodes[node.name], unused, arm, nodes)
    return {name: Arm(name, arm, before[name]) for name, arm in changes.items() if arm}


def _replace_methods(
    control: Control,
    node: Node,
    own: Sequence[KnowledgeSettings],
    unused: Mapping[str, None],
    arm: dict[str, dict[str, Any]],
    nodes: Sequence[Node],
) -> None:
    """Remove or replace those of a stage's `own` methods that have the control.

    `unused`: inputs that only these methods, or those of the stage's model, use.
    """
    replaced = _having(control, own)
    if control.method is not None:  # facts in another form; a method without facts stays beside it
        replaced = [settings for settings in replaced if method_of(settings).inputs(settings)] or replaced
    change: dict[str, Any] = {}
    inputs: dict[str, Sequence[str] | None] = dict(unused)
    if control.method is None:
        change = {"knowledge": None} if own or inputs else {}
    elif replaced:
        kept = [settings for settings in own if settings not in replaced]
        if not any(name_of(settings) == control.method for settings in kept):
            kept.append(_settings_of_replacement(control.method, replaced))
        change = {"knowledge": [_settings_as_yaml(settings) for settings in kept]}
        for name in inputs_of(kept):
            inputs[name] = node.inputs.get(name) or _input_upstream(name, node, nodes)
            if inputs[name] is None:  # a pipeline without a graph
                return
    if change or inputs:
        arm[node.name] = {**change, **({"inputs": inputs} if inputs else {})}


def _having(control: Control, own: Sequence[KnowledgeSettings]) -> list[KnowledgeSettings]:
    """Those of a stage's methods that have the control."""
    return [settings for settings in own if control in controls_of(method_of(settings))]


def _change_settings(
    control: Control, node: Node, own: Sequence[KnowledgeSettings], arm: dict[str, dict[str, Any]]
) -> None:
    """Change the settings of those of a stage's methods that have the control."""
    changed = _having(control, own)
    if changed:
        arm.setdefault(node.name, {})["knowledge"] = [
            {**_settings_as_yaml(settings), **(control.settings if settings in changed else {})}
            for settings in own
        ]


def _settings_of_replacement(name: str, replaced: Sequence[KnowledgeSettings]) -> KnowledgeSettings:
    """The settings of method `name`, with the values of fields that it shares with the replaced methods."""
    fields = METHODS[name].section.model_fields
    shared = {
        key: value for settings in replaced for key, value in settings if key in fields and key != "method"
    }
    return METHODS[name].section.model_validate(shared)


def _settings_as_yaml(settings: KnowledgeSettings) -> dict[str, Any]:
    """Settings as in a pipeline file: only those that differ from the defaults."""
    return {"method": name_of(settings), **settings.model_dump(mode="json", exclude_defaults=True)}


def _input_upstream(name: str, node: Node, nodes: Sequence[Node]) -> Sequence[str] | None:
    """The stages that fill an input of the nearest stage before this one that has it, such as the graph of the stage
    that makes its vectors, or of the linker."""
    by_name = {other.name: other for other in nodes}
    nearest, seen = [node], set[str]()
    while nearest:
        before = [source for its in nearest for sources in its.inputs.values() for source in sources]
        nearest = [
            by_name[source] for source in dict.fromkeys(before) if source in by_name and source not in seen
        ]
        seen.update(before)
        found = next((maker.inputs[name] for maker in nearest if name in maker.inputs), None)
        if found is not None:
            return found
    return None


def _replace_inputs(
    control: Control,
    node: Node,
    arm: dict[str, dict[str, Any]],
    before: dict[str, dict[str, Mapping[str, Any]]],
) -> None:
    """Replace inputs of a stage by those of a stage inserted before the first one that needs it."""
    for slot, kind in control.replaced_by.items():
        for source in node.inputs.get(slot, ()):
            made = f"{source}-{control.name.removeprefix('graph-')}"
            if not any(made in stages for stages in before.values()):
                slots = KINDS[kind].slots()
                own = next(name for name, its in slots.items() if its.takes is KINDS[kind].makes)
                before.setdefault(node.name, {})[made] = {"use": kind, "inputs": {own: source}}
            arm.setdefault(node.name, {}).setdefault("inputs", {})[slot] = made
