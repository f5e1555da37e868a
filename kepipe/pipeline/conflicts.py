"""Settings of wired stages that do not go together, told before any stage runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from kepipe.config import ConfigError, Key, Settings
from kepipe.flow.plan import Node
from kepipe.flow.stage import Planned


def refuse(nodes: Sequence[Node], settings: Settings, places: Mapping[str, Key]) -> None:
    """Raise ConfigError listing every clash once, with file and line. `places`: where the file speaks of a stage."""
    problems: dict[str, None] = {}
    for node, stage in planned(nodes):
        for conflict in node.stage.conflicts(stage):
            key = _place(node, conflict.key, settings, places)
            problems[f"{settings.where(key)}: `{'.'.join(map(str, key))}`: {conflict}"] = None
    if problems:
        raise ConfigError("\n".join(problems))


def planned(nodes: Sequence[Node]) -> Iterator[tuple[Node, Planned]]:
    """Each node as it is before anything runs, with those that will fill its inputs."""
    found: dict[str, Planned] = {}
    for node in nodes:
        inputs = {slot: [found[name] for name in names] for slot, names in node.inputs.items()}
        found[node.name] = Planned(node.name, node.config, inputs, node.stage)
        yield node, found[node.name]


def _place(node: Node, dotted: str, settings: Settings, places: Mapping[str, Key]) -> Key:
    """The key of a stage's setting: the arm's own where a copy in a study has it from there, else the stage's."""
    stage = node.labels.get("stage", node.name)
    key = tuple(dotted.split("."))
    in_arm: Key = ("study", "arms", node.labels.get("arm", ""), stage, *key)
    return in_arm if in_arm in settings.lines else (*places.get(stage, ("stages", stage)), *key)
