"""Initial vectors for new entities of a grown graph, composed from their neighbours' by an R-GCN layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kg.arrays import Floats32, Ints
from kg.inductive import Encoder, InductiveTraining, OnStep, embed_new, train_encoder
from kg.neighbourhood import Neighbourhood
from kg.store import Graph
from kg.warm_start import WarmStart


@dataclass(frozen=True)
class Placed:
    """A start with its new entities placed, and how many of them: `by_known` neighbours, and `by_new` ones, which were
    placed before them."""

    start: WarmStart
    by_known: int
    by_new: int


def place_by_neighbours(
    start: WarmStart,
    graph: Graph,
    seed: int,
    settings: InductiveTraining | None = None,
    on_step: OnStep = lambda _step, _loss: None,
    device: str = "cpu",
) -> Placed:
    """Give a vector to each entity that has none in `start`, of TransE, and that triples of known relations tie to one
    that has, be it over others. Known vectors stay as they are.

    The layer is trained on the known part of the graph; where that is too small to learn from it is the mean of the
    translated neighbours. `device`: where it is trained. Raises ModuleNotFoundError without DGL.
    """
    settings = settings or InductiveTraining()
    relation_place = np.full(len(graph.relations), -1)
    relation_place[start.relation_rows] = np.arange(len(start.relation_rows))
    triples = graph.triples("train").astype(np.int64)
    triples = triples[relation_place[triples[:, 1]] >= 0]
    triples[:, 1] = relation_place[triples[:, 1]]
    rounds = _by_distance(start.entity_rows, triples, len(graph))
    if not rounds:
        return Placed(start, 0, 0)
    encoder = _encoder(start, triples, len(graph), settings, seed, on_step, device)
    table = np.zeros((len(graph), start.entities.shape[1]), np.float32)
    table[start.entity_rows] = start.entities
    known = np.zeros(len(graph), bool)
    known[start.entity_rows] = True
    for rows in rounds:
        reached = known.copy()
        reached[rows] = True
        table[rows] = embed_new(
            encoder, triples[reached[triples[:, [0, 2]]].all(axis=1)].astype(np.int32), rows, table
        )
        known[rows] = True
    new = np.concatenate(rounds)
    placed = WarmStart(
        np.concatenate([start.entity_rows, new]),
        np.concatenate([start.entities, table[new]]),
        start.relation_rows,
        start.relations,
    )
    return Placed(placed, len(rounds[0]), len(new) - len(rounds[0]))


def _by_distance(known_rows: Ints, triples: Ints, entities: int) -> list[Ints]:
    """New entities one step away from the known ones, two steps, and so on: ascending rows each."""
    known = np.zeros(entities, bool)
    known[known_rows] = True
    rounds: list[Ints] = []
    ends = triples[:, [0, 2]]
    while True:
        tied = ends[known[ends].sum(axis=1) == 1]
        rows = np.unique(tied[~known[tied]])
        if not len(rows):
            return rounds
        rounds.append(rows)
        known[rows] = True


def _encoder(
    start: WarmStart,
    triples: Ints,
    entities: int,
    settings: InductiveTraining,
    seed: int,
    on_step: OnStep,
    device: str,
) -> Encoder:
    """The layer, trained on the known entities alone."""
    place = np.full(entities, -1)
    place[start.entity_rows] = np.arange(len(start.entity_rows))
    inside = triples[(place[triples[:, [0, 2]]] >= 0).all(axis=1)].copy()
    inside[:, [0, 2]] = place[inside[:, [0, 2]]]
    around = Neighbourhood(inside.astype(np.int32), len(start.entity_rows), len(start.relations))
    relations: Floats32 = np.array(start.relations, np.float32)
    if not (around.degrees >= 2).any():
        return Encoder.start(relations, settings.bases, seed)
    return train_encoder(around, start.entities, relations, settings, seed, on_step, device)
