"""Copies of stages, one for each arm and seed, that share a node wherever they do the same work."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kepipe.flow.artifact import hash_json
from kepipe.flow.plan import Node


@dataclass(frozen=True)
class Variant:
    """A node before it has its final name. Copies with the same mark do the same work, and share it."""

    node: Node
    inputs: Mapping[str, Sequence[str]]
    """Input name → marks of the variants that fill it."""
    seed: int | None
    """The study's seed that it, or anything before it, draws from; None: the same for all seeds."""
    arms: list[str] = field(default_factory=list)
    """Arms that use it."""


class Copies:
    """Collects the copies of `arms`; `common` is the pipeline's seed, that of stages which are not repeated."""

    def __init__(self, arms: Sequence[str], common: int) -> None:
        self._arms, self._common = arms, common
        self.variants: dict[str, Variant] = {}
        """Mark → variant, each after those that it needs."""

    def add(self, arm: str, seed: int, plan: Sequence[Node], repeated: Sequence[str]) -> dict[str, str]:
        """Add the wired stages of an arm, those in `repeated` with `seed`; returns stage → mark."""
        marks: dict[str, str] = {}
        for node in plan:
            drawn = seed if node.name in repeated else self._common
            mark = marks[node.name] = _mark(node, drawn, marks)
            inputs = {slot: [marks[name] for name in names] for slot, names in node.inputs.items()}
            depends = node.name in repeated or any(
                self.variants[before].seed is not None for found in inputs.values() for before in found
            )
            own = replace(node, seed=None if drawn == self._common else drawn)
            variant = self.variants.setdefault(mark, Variant(own, inputs, seed if depends else None))
            if arm not in variant.arms:
                variant.arms.append(arm)
        return marks

    def names(self, own: Mapping[str, str], kept: Container[str]) -> dict[str, str]:
        """Mark → name of the node: `pretrain.full.0`, the arm and the seed left out where all share it.

        `own`: the pipeline's own stages by name → mark. Those that do not draw from a seed keep their names, and so
        do those in `kept`, which stages outside of the study need.
        """
        seedless = {mark for mark, variant in self.variants.items() if variant.seed is None}
        names = {mark: name for name, mark in own.items() if name in kept or mark in seedless}
        taken = set(names.values())
        for mark, variant in self.variants.items():
            if mark not in names:
                seed = () if variant.seed is None else (str(variant.seed),)
                name = ".".join(
                    (variant.node.name, *(() if self._shared(variant) else variant.arms[:1]), *seed)
                )
                if name in taken:
                    name = ".".join((variant.node.name, variant.arms[0], *seed))
                names[mark] = name
                taken.add(name)
        return names

    def nodes(self, names: Mapping[str, str]) -> list[Node]:
        """The variants as nodes, wired by their names and labelled with their arms and seeds; what all share first."""
        ordered = sorted(self.variants.items(), key=lambda entry: entry[1].seed is not None)
        return [
            replace(
                variant.node,
                name=names[mark],
                inputs={slot: [names[before] for before in found] for slot, found in variant.inputs.items()},
                labels={}
                if names[mark] == variant.node.name and variant.seed is None
                else self._labels(variant),
            )
            for mark, variant in ordered
        ]

    def _shared(self, variant: Variant) -> bool:
        return len(variant.arms) == len(self._arms)

    def _labels(self, variant: Variant) -> dict[str, str]:
        return {
            "stage": variant.node.name,
            "arm": "all arms" if self._shared(variant) else " + ".join(variant.arms),
            "seed": "all seeds" if variant.seed is None else str(variant.seed),
        }


def marks_of(plan: Sequence[Node], seed: int) -> dict[str, str]:
    """Stage → mark of wired stages that all draw from one seed."""
    marks: dict[str, str] = {}
    for node in plan:
        marks[node.name] = _mark(node, seed, marks)
    return marks


def _mark(node: Node, seed: int, marks: Mapping[str, str]) -> str:
    """What decides a node's work, as far as it is known before any work is done."""
    return hash_json(
        {
            "name": node.name,
            "kind": node.stage.name,
            "config": node.config.model_dump(mode="json"),
            "seed": seed,
            "inputs": {slot: [marks[name] for name in names] for slot, names in node.inputs.items()},
        }
    )
