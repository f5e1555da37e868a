"""A graph with entity names but no facts: a control for the effect of merely finding and naming entities."""

from __future__ import annotations

import numpy as np

from kg.schema import Relation
from kg.store import Graph
from kg.writer import GraphWriter

NAMED = Relation("named", "")
"""A reflexive relation; its label is empty, so that a triple shows only the entity's name."""


def names_only_graph(graph: Graph, writer: GraphWriter) -> dict[str, int]:
    """Write `graph` with its triples replaced, in each split, by one reflexive triple for each subject."""
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
