"""The parts of a graph: entities, relations, triples."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Entity:
    """A node: `id` is unique in its graph, `prior` a non-negative weight (population, site links, degree)."""

    id: str
    label: str
    aliases: tuple[str, ...] = ()
    description: str = ""
    types: tuple[str, ...] = ()
    prior: float = 0.0


@dataclass(frozen=True, slots=True)
class Relation:
    """An edge type: `id` as used in triples, `label` for display."""

    id: str
    label: str


@dataclass(frozen=True, slots=True)
class Triple:
    """One fact, by ids: head –relation→ tail."""

    head: str
    relation: str
    tail: str
