"""Stages whose settings stand for several, such as a task learned from 100, 300 and all examples: one stage each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from kepipe.config import ConfigError, Key, Settings
from kepipe.flow.plan import Node

V = TypeVar("V")


@dataclass(frozen=True)
class Spread:
    """Wired stages, and of each that stands for several the names of these."""

    nodes: list[Node]
    names: Mapping[str, Sequence[str]]

    def each(self, by_stage: Mapping[str, V]) -> dict[str, V]:
        """What is said of a stage, said of all that it stands for."""
        return {name: value for stage, value in by_stage.items() for name in self.names.get(stage, (stage,))}


def spread(nodes: Sequence[Node], settings: Settings, places: Mapping[str, Key]) -> Spread:
    """The stages with every variant in the place of what stands for it.

    A stage that takes several of its kind takes all variants, another the last one. Raises ConfigError where a variant
    would have the name of another stage.
    """
    names: dict[str, list[str]] = {}
    made: list[Node] = []
    taken = {node.name for node in nodes}
    for node in nodes:
        wired = replace(node, inputs={slot: _inputs(node, slot, names) for slot in node.inputs})
        variants = node.stage.variants(node.config)
        if not variants:
            made.append(wired)
            continue
        names[node.name] = [f"{node.name}-{suffix}" for suffix in variants]
        if clashes := taken & set(names[node.name]):
            where = settings.where(places.get(node.name, ("stages", node.name)))
            raise ConfigError(
                f"{where}: a stage `{min(clashes)}` stands in the way of one that `{node.name}` stands for: rename it"
            )
        made += [
            replace(wired, name=name, config=config)
            for name, config in zip(names[node.name], variants.values(), strict=True)
        ]
    return Spread(made, names)


def _inputs(node: Node, slot: str, names: Mapping[str, Sequence[str]]) -> list[str]:
    several = node.stage.slots()[slot].several
    found: list[str] = []
    for name in node.inputs[slot]:
        variants = names.get(name, (name,))
        found += variants if several else variants[-1:]
    return found
