"""Rankings of an entity's triples (`kepipe.knowledge.choosing.choices` has the table).

A static score depends on the triple alone, a context score also on the text that mentions the entity. Ties are broken
by the graph's order, so every choice is deterministic.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kepipe.arrays import Floats, Ints, ranges
from kepipe.data.batch import MentionSpans
from kepipe.knowledge.choosing.facts import Facts
from kepipe.knowledge.choosing.triple_tokenizer import TripleTokenizer
from kg.store import Graph


@dataclass(frozen=True)
class RankingSources:
    """The data available to rankings. `vectors`: the folder of an `embed` stage, or None."""

    graph: Graph
    facts: Facts
    triple_tokenizer: TripleTokenizer
    vectors: Path | None = None


@dataclass(frozen=True)
class RankingContext:
    """A batch and the C triples in question. `tokens`: int [B, T], `lengths`: int [B]; `entities`: int [M], the
    graph's row of each mention, −1 none; `owners`, `triples`: int [C], the mention index and the index of the triple.
    """

    tokens: Ints
    lengths: Ints
    mentions: MentionSpans
    entities: Ints
    owners: Ints
    triples: Ints


ContextScore = Callable[[RankingContext], Floats]


def rarity(sources: RankingSources) -> Floats:
    """−log p(relation) − log p(object) in nats: the information of a triple if its parts were independent."""
    triples = sources.facts.triples
    surprise = np.zeros(len(triples))
    for column in (1, 2):
        counts = np.bincount(triples[:, column])
        surprise -= np.log(counts[triples[:, column]] / len(triples))
    return surprise


BLOCK = 65_536


def plausibility(sources: RankingSources) -> Floats:
    """−‖h + r − t‖ (TransE, Bordes et al. 2013), −∞ where a vector is missing. Raises ValueError without vectors."""
    from kg.vectors import RELATION_IDS, TABLE, map_table, open_vectors, read_ids

    if sources.vectors is None:
        raise ValueError(
            "knowledge: `choice: plausible` needs entity vectors: give the stage `inputs: {vectors: embed}`"
        )
    table, graph, triples = open_vectors(sources.vectors), sources.graph, sources.facts.triples
    kinds = {id: row for row, id in enumerate(read_ids(sources.vectors / RELATION_IDS))}
    relations = map_table(sources.vectors / TABLE, "relations")
    if relations.shape[1] != table.dim:
        raise ValueError(
            f"{sources.vectors}: relation and entity vectors differ in dimension; `plausible` needs those of TransE"
        )
    entity = table.rows(graph.ids)
    relation = np.array([kinds.get(known.id, -1) for known in graph.relations], np.int64)
    found = np.full(len(triples), -np.inf)
    for start in range(0, len(triples), BLOCK):
        part = triples[start : start + BLOCK]
        rows = entity[part[:, 0]], relation[part[:, 1]], entity[part[:, 2]]
        there = (rows[0] >= 0) & (rows[1] >= 0) & (rows[2] >= 0)
        h, r, t = (
            values[row[there]]
            for values, row in zip((table.matrix, relations, table.matrix), rows, strict=True)
        )
        found[start : start + BLOCK][there] = -np.linalg.norm(h + r - t, axis=1)
    return found


WALKS, STEPS, DAMPING = 512, 16, 0.85


def pagerank(sources: RankingSources) -> ContextScore:
    """Personalised PageRank of the object, restarting at the *other* entities of the sentence.

    Estimated from random walks over all triples that may be injected (Fogaras et al. 2005): the t-th entity of a walk
    with continuation probability d has weight (1 − d)·dᵗ. The walks of an entity are drawn once, with its row as the
    seed.
    """
    from kg.neighbourhood import Neighbourhood

    E = len(sources.graph)
    near = Neighbourhood(sources.facts.triples, E, len(sources.graph.relations))
    weights = (1 - DAMPING) * DAMPING ** np.arange(STEPS + 1) / WALKS
    known: dict[int, tuple[Ints, Floats]] = {}
    lock = threading.Lock()

    def visits(entity: int) -> tuple[Ints, Floats]:
        """The entities visited by walks from this one, ascending, and the weight of each."""
        with lock:  # DGL's seed is global
            if entity not in known:
                trace = near.walk(np.full(WALKS, entity), STEPS, seed=entity)
                met, place = np.unique(trace, return_inverse=True)
                spread = np.broadcast_to(weights, trace.shape).ravel()
                spent = np.bincount(place.ravel(), spread, len(met)).astype(np.float64)
                known[entity] = met[met >= 0], spent[met >= 0]
        return known[entity]

    def context_score(context: RankingContext) -> Floats:
        there = context.entities >= 0
        pairs = np.unique(context.mentions.rows[there] * E + context.entities[there])  # an entity once a row
        rows, entities = np.divmod(pairs, E)
        distinct, which = np.unique(entities, return_inverse=True)
        met = [visits(entity) for entity in distinct.tolist()]
        if not met:
            return np.zeros(len(context.triples))
        sizes = np.array([len(places) for places, _ in met])
        places = np.concatenate([places for places, _ in met])
        spent = np.concatenate([spent for _, spent in met])
        own = (
            np.repeat(np.arange(len(met)), sizes) * E + places
        )  # ascending, as `distinct` and each one's places are
        taken = ranges((np.cumsum(sizes) - sizes)[which], sizes[which])
        keys, at = np.unique(np.repeat(rows, sizes[which]) * E + places[taken], return_inverse=True)
        of_row = np.bincount(at, spent[taken]).astype(np.float64)

        tails = sources.facts.triples[context.triples, 2].astype(np.int64)
        mine = np.searchsorted(distinct, context.entities[context.owners])
        from_all = _look_up(keys, of_row, context.mentions.rows[context.owners] * E + tails)
        score = from_all - _look_up(own, spent, mine * E + tails)
        return np.where(
            score > 1e-12, score, 0.0
        )  # subtracting the entity's own visits leaves rounding errors

    return context_score


SAMPLE = 100_000


def similarity(sources: RankingSources) -> ContextScore:
    """Cosine of the tf-idf vectors of branch and sentence, up to the norm of the sentence, which is constant.

    Each token counts once, with weight log((n + 1) / (df + 1)), where df of n branches have it; n is at most 100,000.
    """
    triples = sources.facts.triples
    sample = triples[:: max(1, -(-len(triples) // SAMPLE))]
    lengths, tokens = sources.triple_tokenizer.branches(sample)
    V = int(tokens.max(initial=0)) + 1
    _, found = np.divmod(np.unique(np.repeat(np.arange(len(sample)), lengths) * V + tokens), V)
    seen = np.bincount(found, minlength=V)

    def weight(tokens: Ints) -> Floats:
        known = np.where(tokens < V, seen[np.minimum(tokens, V - 1)], 0)
        result: Floats = np.log((len(sample) + 1) / (known + 1))
        return result

    def context_score(context: RankingContext) -> Floats:
        lengths, tokens = sources.triple_tokenizer.branches(triples[context.triples])
        W = 1 + int(max(tokens.max(initial=0), context.tokens.max(initial=0)))
        which, token = np.divmod(np.unique(np.repeat(np.arange(len(lengths)), lengths) * W + tokens), W)
        rows = np.broadcast_to(np.arange(len(context.tokens))[:, None], context.tokens.shape)
        there = np.arange(context.tokens.shape[1]) < context.lengths[:, None]
        text = np.unique(rows[there] * W + context.tokens[there])
        shared = np.isin(context.mentions.rows[context.owners[which]] * W + token, text)
        squares = weight(token) ** 2
        norm = np.sqrt(np.bincount(which, squares, len(lengths)))
        return np.bincount(which, squares * shared, len(lengths)) / np.maximum(norm, 1e-12)

    return context_score


def _look_up(keys: Ints, values: Floats, wanted: Ints) -> Floats:
    """The value of each wanted key, 0 if absent. `keys` are sorted."""
    at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[at] == wanted, values[at], 0.0)
