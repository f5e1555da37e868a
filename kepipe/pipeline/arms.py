"""The arms of a study: each is the pipeline file with some settings changed; controls are made from its wiring."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kepipe.config import ConfigError, Key, Settings, merge, suggest
from kepipe.flow.plan import Node
from kepipe.pipeline.wiring import KINDS, Entries, is_variation
from kepipe.stages.artifacts import Model

ON, OFF, SHUFFLED = "graph-on", "graph-off", "graph-shuffled"
Changes = Mapping[str, Mapping[str, Any]]
"""Stage → settings laid over those of the file."""


@dataclass(frozen=True)
class Arm:
    """A pipeline file with changes. `before`: stages added, each before the one that is named."""

    name: str
    changes: Changes = field(default_factory=dict)
    before: Mapping[str, Entries] = field(default_factory=dict)
    """Stage that needs them → names and entries of the stages that are added."""

    def entries(
        self, entries: Entries, places: Mapping[str, Key], settings: Settings
    ) -> tuple[dict[str, Mapping[str, Any]], dict[str, Key]]:
        """The file's entries as this arm has them, and where the file speaks of each."""
        root: Key = ("study", "arms", self.name)
        for stage in self.changes:
            if stage not in entries:
                hint = suggest(stage, list(entries))
                raise ConfigError(f"{settings.where((*root, stage))}: the file has no stage `{stage}`{hint}")
        for added in (added for its in self.before.values() for added in its if added in entries):
            raise ConfigError(
                f"{settings.where(places[added])}: `{added}` is what `{self.name}` calls a stage of its own; "
                "give this one another name"
            )
        laid: dict[str, Mapping[str, Any]] = {}
        at: dict[str, Key] = {}
        for name, entry in entries.items():
            for added, its_entry in self.before.get(name, {}).items():
                laid[added], at[added] = its_entry, ("study", "controls")
            laid[name] = merge(entry, self.changes.get(name, {}))
            at[name] = (*root, name) if name in self.changes else places[name]
        return laid, at

    def told(self) -> dict[str, str]:
        """Setting → its value in this arm, in words: `pretrain.inputs.vectors` → `none`."""
        return dict(_leaves(self.changes))


def _leaves(value: Any, at: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{at}.{name}" if at else str(name))
    elif at.count("."):
        yield at, "none" if value is None else str(value)


def make_arms(given: Mapping[str, Changes], controls: Sequence[str], nodes: Sequence[Node]) -> list[Arm]:
    """The arms, those put to the test first. `nodes`: the stages of the pipeline itself that a study repeats.

    Raises ValueError for a bad name, and for controls of a pipeline without knowledge.
    """
    for name in given:
        if not re.fullmatch(r"[A-Za-z][\w-]*", name):
            raise ValueError(f"arm `{name}`: expected a name of letters, digits and dashes, a letter first")
    made = _make_controls(nodes) if {OFF, SHUFFLED} & set(controls) else {}
    tested = {name: changes for name, changes in given.items() if name not in controls}
    if not tested and made:
        tested = {ON: {}}
    arms = [Arm(name, changes) for name, changes in tested.items()]
    for name in controls:
        arm = made.get(name, Arm(name))
        arms.append(replace(arm, changes=merge(arm.changes, given.get(name, {}))))
    return arms


def _make_controls(nodes: Sequence[Node]) -> dict[str, Arm]:
    """The arms `graph-off` and `graph-shuffled` of wired stages.

    Knowledge enters a model by an optional input that some kind of stage can shuffle: vectors, a graph. Off: these
    inputs are empty. Shuffled: they are filled by the shuffling of what fills them otherwise.
    """
    shufflers = {stage.makes: stage for stage in KINDS.values() if is_variation(stage)}
    fed = [
        (node, slot, names[0])
        for node in nodes
        if issubclass(node.stage.makes, Model)
        for slot, names in node.inputs.items()
        if node.stage.slots()[slot].optional and node.stage.slots()[slot].takes in shufflers
    ]
    if not fed:
        kinds = " or ".join(sorted(made.__name__ for made in shufflers))
        raise ValueError(
            f"no model that is measured takes {kinds or 'knowledge'} by its `inputs`: there is nothing to leave out"
        )
    off: dict[str, dict[str, dict[str, None]]] = {}
    shuffled: dict[str, dict[str, dict[str, str]]] = {}
    before: dict[str, dict[str, Mapping[str, Any]]] = {}
    for node, slot, source in fed:
        stage = shufflers[node.stage.slots()[slot].takes]
        own = next(name for name, its in stage.slots().items() if its.takes is stage.makes)
        name = f"{source}-shuffled"
        if not any(name in added for added in before.values()):
            before.setdefault(node.name, {})[name] = {"use": stage.name, "inputs": {own: source}}
        off.setdefault(node.name, {"inputs": {}})["inputs"][slot] = None
        shuffled.setdefault(node.name, {"inputs": {}})["inputs"][slot] = name
    return {OFF: Arm(OFF, off), SHUFFLED: Arm(SHUFFLED, shuffled, before)}
