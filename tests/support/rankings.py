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
    cache: dict[int, tuple[Ints, Floats]] = {}

    def visits(entity: int) -> tuple[Ints, Floats]:
        """The entities visited by walks from this one, ascending, and the weight of each."""
        if entity not in cache:
            trace = near.walk(np.full(WALKS, entity), STEPS, seed=entity)
            visited, index = np.unique(trace, return_inverse=True)
            step_weights = np.broadcast_to(weights, trace.shape).ravel()
            weight_sums = np.bincount(index.ravel(), step_weights, len(visited)).astype(np.float64)
            cache[entity] = visited[visited >= 0], weight_sums[visited >= 0]
        return cache[entity]

    def context_score(context: RankingContext) -> Floats:
        linked = context.entities >= 0
        pairs = np.unique(
            context.mentions.rows[linked] * E + context.entities[linked]
        )  # an entity once a row
        rows, entities = np.divmod(pairs, E)
        distinct, entity_index = np.unique(entities, return_inverse=True)
        visited = [visits(entity) for entity in distinct.tolist()]
        if not visited:
            return np.zeros(len(context.triples))
        sizes = np.array([len(places) for places, _ in visited])
        places = np.concatenate([places for places, _ in visited])
        weight_sums = np.concatenate([weight_sums for _, weight_sums in visited])
        own_keys = (
            np.repeat(np.arange(len(visited)), sizes) * E + places
        )  # ascending, as `distinct` and each one's places are
        selected = ranges((np.cumsum(sizes) - sizes)[entity_index], sizes[entity_index])
        keys, index = np.unique(
            np.repeat(rows, sizes[entity_index]) * E + places[selected], return_inverse=True
        )
        of_row = np.bincount(index, weight_sums[selected]).astype(np.float64)

        tails = sources.facts.triples[context.triples, 2].astype(np.int64)
        own_index = np.searchsorted(distinct, context.entities[context.owners])
        from_all = _look_up(keys, of_row, context.mentions.rows[context.owners] * E + tails)
        score = from_all - _look_up(own_keys, weight_sums, own_index * E + tails)
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
    _, token_ids = np.divmod(np.unique(np.repeat(np.arange(len(sample)), lengths) * V + tokens), V)
    document_frequencies = np.bincount(token_ids, minlength=V)

    def weight(tokens: Ints) -> Floats:
        frequencies = np.where(tokens < V, document_frequencies[np.minimum(tokens, V - 1)], 0)
        result: Floats = np.log((len(sample) + 1) / (frequencies + 1))
        return result

    def context_score(context: RankingContext) -> Floats:
        lengths, tokens = sources.triple_tokenizer.branches(triples[context.triples])
        W = 1 + int(max(tokens.max(initial=0), context.tokens.max(initial=0)))
        branch_index, token = np.divmod(
            np.unique(np.repeat(np.arange(len(lengths)), lengths) * W + tokens), W
        )
        rows = np.broadcast_to(np.arange(len(context.tokens))[:, None], context.tokens.shape)
        present = np.arange(context.tokens.shape[1]) < context.lengths[:, None]
        text = np.unique(rows[present] * W + context.tokens[present])
        shared = np.isin(context.mentions.rows[context.owners[branch_index]] * W + token, text)
        squares = weight(token) ** 2
        norm = np.sqrt(np.bincount(branch_index, squares, len(lengths)))
        return np.bincount(branch_index, squares * shared, len(lengths)) / np.maximum(norm, 1e-12)

    return context_score


def _look_up(keys: Ints, values: Floats, wanted: Ints) -> Floats:
    """The value of each wanted key, 0 if absent. `keys` are sorted."""
    index = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[index] == wanted, values[index], 0.0)
