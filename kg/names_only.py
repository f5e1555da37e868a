"""A graph that knows its entities' names and nothing else: a control that tells what finding and naming is worth."""

from __future__ import annotations

import numpy as np

from kg.schema import Relation
from kg.store import Graph
from kg.writer import GraphWriter

NAMED = Relation("named", "")
"""Between an entity and itself; its own name is empty, so that a triple says that of the entity alone."""


def names_only_graph(graph: Graph, writer: GraphWriter) -> dict[str, int]:
    """Write `graph` with one triple for each entity that is the subject of any in a split, which leads to itself."""
    for row in range(len(graph)):
        writer.add_entity(graph.entity(row))
    writer.add_relation(NAMED)
    subjects = np.zeros(len(graph), np.bool_)
    for split in graph.splits:
        heads = np.unique(graph.triples(split)[:, 0])
        subjects[heads] = True
        writer.add_triples(split, np.stack([heads, np.zeros_like(heads), heads], 1))
    writer.finish()
    return {"entities": int(subjects.sum())}
