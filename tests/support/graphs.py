"""Graphs for tests, with numbered entities and relations, or with names as ids."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kg.schema import Entity, Relation, Triple
from kg.store import Graph, open_graph
from kg.writer import GraphWriter, write_graph


def numbered_graph(folder: Path, entities: int, relations: int, **splits: np.ndarray) -> Graph:
    """Entities e0, e1, …, relations r0, r1, …, and triples (T × 3) by split."""
    writer = GraphWriter(folder)
    for number in range(entities):
        writer.add_entity(Entity(f"e{number}", f"e{number}"))
    for number in range(relations):
        writer.add_relation(Relation(f"r{number}", f"r{number}"))
    for split, triples in splits.items():
        writer.add_triples(split, triples)
    return writer.finish()


def named_graph(folder: Path, *, held_out: tuple[Triple, ...] = (), **facts: dict[str, str]) -> Graph:
    """Relation → its facts; the id of each entity is its name."""
    triples = [Triple(head, relation, tail) for relation, of in facts.items() for head, tail in of.items()]
    names = dict.fromkeys(name for triple in (*triples, *held_out) for name in (triple.head, triple.tail))
    relations = [Relation(name, name) for name in dict.fromkeys(t.relation for t in (*triples, *held_out))]
    splits = {"train": triples} | ({"test": held_out} if held_out else {})
    write_graph(folder, [Entity(name, name) for name in names], relations, splits)
    return open_graph(folder)
