"""Stages whose settings expand to several stages, such as a task trained on 100, 300 and all examples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from kepipe.config import ConfigError, Key, Settings
from kepipe.flow.plan import Node

V = TypeVar("V")


@dataclass(frozen=True)
class ExpandedStages:
    """Stages after expansion, and stage → names of its variants."""

    nodes: list[Node]
    names: Mapping[str, Sequence[str]]

    def each(self, by_stage: Mapping[str, V]) -> dict[str, V]:
        """Replace each stage by its variants as keys of a mapping."""
        return {name: value for stage, value in by_stage.items() for name in self.names.get(stage, (stage,))}


def expand_variants(nodes: Sequence[Node], settings: Settings, places: Mapping[str, Key]) -> ExpandedStages:
    """Replace each stage with variants by these.

    An input that takes several gets all variants of a stage, any other input the last one. Raises ConfigError if a
    variant would have the name of another stage.
    """
    names: dict[str, list[str]] = {}
    expanded: list[Node] = []
    taken = {node.name for node in nodes}
    for node in nodes:
        wired = replace(node, inputs={slot: _inputs(node, slot, names) for slot in node.inputs})
        variants = node.stage.variants(node.config)
        if not variants:
            expanded.append(wired)
            continue
        names[node.name] = [f"{node.name}-{suffix}" for suffix in variants]
        if clashes := taken & set(names[node.name]):
            where = settings.where(places.get(node.name, ("stages", node.name)))
            raise ConfigError(
                f"{where}: stage `{min(clashes)}` has the name of a variant of `{node.name}`: rename it"
            )
        expanded += [
            replace(wired, name=name, config=config)
            for name, config in zip(names[node.name], variants.values(), strict=True)
        ]
    return ExpandedStages(expanded, names)


def _inputs(node: Node, slot: str, names: Mapping[str, Sequence[str]]) -> list[str]:
    several = node.stage.slots()[slot].several
    found: list[str] = []
    for name in node.inputs[slot]:
        variants = names.get(name, (name,))
        found += variants if several else variants[-1:]
    return found
