"""Copies of stages for each arm and seed; copies with identical settings and inputs share a node."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace

from kepipe.flow.artifact import hash_json
from kepipe.flow.plan import Node


@dataclass(frozen=True)
class Variant:
    """A node before it has its final name. Copies with the same fingerprint share it."""

    node: Node
    inputs: Mapping[str, Sequence[str]]
    """Input name → fingerprints of the variants that fill it."""
    seed: int | None
    """The study's seed, if the node or one upstream depends on it; None: the same for all seeds."""
    arms: list[str] = field(default_factory=list)
    """Arms that use it."""


class Copies:
    """Collects the copies for `arms`. `common`: the pipeline's seed, used by stages that are not repeated."""

    def __init__(self, arms: Sequence[str], common: int) -> None:
        self._arms, self._common = arms, common
        self.variants: dict[str, Variant] = {}
        """Fingerprint → variant, in topological order."""

    def add(self, arm: str, seed: int, plan: Sequence[Node], repeated: Sequence[str]) -> dict[str, str]:
        """Add the stages of an arm, with `seed` for those in `repeated`; returns stage → fingerprint."""
        fingerprints: dict[str, str] = {}
        for node in plan:
            drawn = seed if node.name in repeated else self._common
            fingerprint = fingerprints[node.name] = _fingerprint(node, drawn, fingerprints)
            inputs = {slot: [fingerprints[name] for name in names] for slot, names in node.inputs.items()}
            depends = node.name in repeated or any(
                self.variants[before].seed is not None for found in inputs.values() for before in found
            )
            own = replace(node, seed=None if drawn == self._common else drawn)
            variant = self.variants.setdefault(fingerprint, Variant(own, inputs, seed if depends else None))
            if arm not in variant.arms:
                variant.arms.append(arm)
        return fingerprints

    def names(self, own: Mapping[str, str], kept: Container[str]) -> dict[str, str]:
        """Fingerprint → name of the node, `pretrain.full.0`, without arm or seed where all of them share it.

        `own`: the pipeline's stages, name → fingerprint. They keep their names if they do not depend on a seed or are
        in `kept`, the stages that others outside of the study need.
        """
        seedless = {fingerprint for fingerprint, variant in self.variants.items() if variant.seed is None}
        names = {
            fingerprint: name for name, fingerprint in own.items() if name in kept or fingerprint in seedless
        }
        taken = set(names.values())
        for fingerprint, variant in self.variants.items():
            if fingerprint not in names:
                seed = () if variant.seed is None else (str(variant.seed),)
                name = ".".join(
                    (variant.node.name, *(() if self._shared(variant) else variant.arms[:1]), *seed)
                )
                if name in taken:
                    name = ".".join((variant.node.name, variant.arms[0], *seed))
                names[fingerprint] = name
                taken.add(name)
        return names

    def nodes(self, names: Mapping[str, str]) -> list[Node]:
        """The variants as nodes, wired by name and labelled with arms and seeds; those independent of seeds first."""
        ordered = sorted(self.variants.items(), key=lambda entry: entry[1].seed is not None)
        return [
            replace(
                variant.node,
                name=names[fingerprint],
                inputs={slot: [names[before] for before in found] for slot, found in variant.inputs.items()},
                labels={}
                if names[fingerprint] == variant.node.name and variant.seed is None
                else self._labels(variant),
            )
            for fingerprint, variant in ordered
        ]

    def _shared(self, variant: Variant) -> bool:
        return len(variant.arms) == len(self._arms)

    def _labels(self, variant: Variant) -> dict[str, str]:
        return {
            "stage": variant.node.name,
            "arm": "all arms" if self._shared(variant) else " + ".join(variant.arms),
            "seed": "all seeds" if variant.seed is None else str(variant.seed),
        }


def fingerprints_of(plan: Sequence[Node], seed: int) -> dict[str, str]:
    """Stage → fingerprint, for stages that all use one seed."""
    fingerprints: dict[str, str] = {}
    for node in plan:
        fingerprints[node.name] = _fingerprint(node, seed, fingerprints)
    return fingerprints


def _fingerprint(node: Node, seed: int, fingerprints: Mapping[str, str]) -> str:
    """Hash of everything that determines a node's work, as far as it is known before the run."""
    return hash_json(
        {
            "name": node.name,
            "kind": node.stage.name,
            "config": node.config.model_dump(mode="json"),
            "seed": seed,
            "inputs": {slot: [fingerprints[name] for name in names] for slot, names in node.inputs.items()},
        }
    )
