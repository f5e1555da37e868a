"""The rankings `pagerank` and `similar` as they are defined: unions of sorted numbers, nothing kept but the walks."""

from __future__ import annotations

import numpy as np

from kepipe.arrays import Floats, Ints, ranges
from kepipe.knowledge.choosing.ranking import ContextScore, RankingContext, RankingSources
from kepipe.knowledge.choosing.shared_words import SAMPLE
from kepipe.knowledge.choosing.walks import DAMPING, STEPS, WALKS


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

    def visits(entity: int) -> tuple[Ints, Floats]:
        """The entities visited by walks from this one, ascending, and the weight of each."""
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
