"""The ranking `pagerank`: objects near the other entities of the sentence, by random walks."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from kepipe.arrays import Floats, Ints32
from kepipe.knowledge.choosing.ranking import ContextScore, RankingContext, RankingSources

WALKS, STEPS, DAMPING = 512, 16, 0.85
NOTHING = 1e-12
"""Scores up to this are what is left of rounding, where an entity's own visits are subtracted."""


@dataclass(frozen=True)
class Visits:
    """Where walks from an entity come: `places`, int32 [P], ascending, with the `weights` of each; `own`: the weight of
    the object of each of the entity's triples."""

    places: Ints32
    weights: Floats
    own: Floats


def pagerank(sources: RankingSources) -> ContextScore:
    """Personalised PageRank of the object, restarting at the *other* entities of the sentence.

    Estimated from random walks over all triples that may be injected (Fogaras et al. 2005): the t-th entity of a walk
    with continuation probability d has weight (1 − d)·dᵗ. The walks of an entity are drawn once, with its row as the
    seed.
    """
    from kg.neighbourhood import Neighbourhood

    E, facts = len(sources.graph), sources.facts
    near = Neighbourhood(facts.triples, E, len(sources.graph.relations))
    weights = (1 - DAMPING) * DAMPING ** np.arange(STEPS + 1) / WALKS
    objects = facts.triples[:, 2]
    known: dict[int, Visits] = {}
    lock = threading.Lock()

    def walk(entity: int) -> Visits:
        with lock:  # DGL's seed is global
            if entity not in known:
                trace = near.walk(np.full(WALKS, entity), STEPS, seed=entity)
                visited, index = np.unique(trace, return_inverse=True)
                step_weights = np.broadcast_to(weights, trace.shape).ravel()
                weight_sums = np.bincount(index.ravel(), step_weights, len(visited)).astype(np.float64)
                places, weight_sums = visited[visited >= 0].astype(np.int32), weight_sums[visited >= 0]
                own = _look_up(places, weight_sums, objects[facts.starts[entity] : facts.starts[entity + 1]])
                known[entity] = Visits(places, weight_sums, own)
        return known[entity]

    def context_score(context: RankingContext) -> Floats:
        score = np.zeros(len(context.triples))
        tails_C, entity_M = objects[context.triples], context.entities.tolist()
        bounds = np.searchsorted(context.owners, np.arange(len(entity_M) + 1)).tolist()
        rows = np.searchsorted(context.mentions.rows, np.arange(len(context.tokens) + 1)).tolist()
        for begin, end in pairwise(rows):  # the mentions of a row
            entities = sorted({entity for entity in entity_M[begin:end] if entity >= 0})  # each once
            its = slice(bounds[begin], bounds[end])
            tails, which = np.unique(tails_C[its], return_inverse=True)
            visited = {entity: known.get(entity) or walk(entity) for entity in entities}
            sums = np.zeros(len(tails))
            for visits in visited.values():
                sums += _look_up(visits.places, visits.weights, tails)
            score[its] = sums[which]
            for mention in range(begin, end):
                own, entity = slice(bounds[mention], bounds[mention + 1]), entity_M[mention]
                if own.start < own.stop:
                    score[own] -= visited[entity].own[context.triples[own] - facts.starts[entity]]
        return np.where(score > NOTHING, score, 0.0)

    return context_score


def _look_up(keys: Ints32, values: Floats, wanted: Ints32) -> Floats:
    """The value of each wanted key, 0 if absent. `keys` are sorted, and not none."""
    at = keys.searchsorted(wanted)
    found: Floats = values.take(at, mode="clip") * (keys.take(at, mode="clip") == wanted)
    return found
