"""Graphs whose entities and relations are numbers."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kg.schema import Entity, Relation
from kg.store import Graph
from kg.writer import GraphWriter


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
