"""Incompatible settings of wired stages, reported before any stage runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from kepipe.config import ConfigError, Key, Settings
from kepipe.flow.plan import Node
from kepipe.flow.stage import Planned


def raise_conflicts(nodes: Sequence[Node], settings: Settings, places: Mapping[str, Key]) -> None:
    """Raise ConfigError that lists every conflict once, with file and line. `places`: stage → key in the file."""
    problems: dict[str, None] = {}
    for node, stage in planned(nodes):
        for conflict in node.stage.conflicts(stage):
            key = _place(node, conflict.key, settings, places)
            problems[f"{settings.where(key)}: `{'.'.join(map(str, key))}`: {conflict}"] = None
    if problems:
        raise ConfigError("\n".join(problems))


def planned(nodes: Sequence[Node]) -> Iterator[tuple[Node, Planned]]:
    """Each node as a `Planned` stage, with the stages that will fill its inputs."""
    found: dict[str, Planned] = {}
    for node in nodes:
        inputs = {slot: [found[name] for name in names] for slot, names in node.inputs.items()}
        found[node.name] = Planned(node.name, node.config, inputs, node.stage)
        yield node, found[node.name]


def _place(node: Node, dotted: str, settings: Settings, places: Mapping[str, Key]) -> Key:
    """The key of a stage's setting: in the arm if the arm sets it, otherwise in the stage."""
    stage = node.labels.get("stage", node.name)
    key = tuple(dotted.split("."))
    in_arm: Key = ("study", "arms", node.labels.get("arm", ""), stage, *key)
    return in_arm if in_arm in settings.lines else (*places.get(stage, ("stages", stage)), *key)
