"""The ranking `similar`: facts that share rare words with the sentence."""

from __future__ import annotations

import threading

import numpy as np

from kepipe.arrays import Floats, Ints, Ints32, ranges
from kepipe.knowledge.choosing.facts import Facts
from kepipe.knowledge.choosing.ranking import (
    MAX_CANDIDATES,
    ContextScore,
    RankingContext,
    RankingSources,
)
from kepipe.knowledge.choosing.triple_tokenizer import TripleTokenizer

SAMPLE = 100_000


def similarity(sources: RankingSources) -> ContextScore:
    """Cosine of the tf-idf vectors of branch and sentence, up to the norm of the sentence, which is constant.

    Each token counts once, with weight log((n + 1) / (df + 1)), where df of n branches have it; n is at most 100,000.
    """
    triples = sources.facts.triples
    sample = triples[:: max(1, -(-len(triples) // SAMPLE))]
    _, found = distinct(*sources.triple_tokenizer.branches(sample))
    seen_V = np.append(np.bincount(found), 0)  # the last stands for all tokens that the sample has not
    squares_V = np.log((len(sample) + 1) / (seen_V + 1)) ** 2
    words = BranchWords(sources.facts, sources.triple_tokenizer, squares_V)

    def context_score(context: RankingContext) -> Floats:
        named_M = np.flatnonzero(sources.facts.count(context.entities) > 0)
        entity_M = context.entities[named_M]
        first_M, counts_M = words.find(entity_M)
        at = ranges(first_M, counts_M)
        B, T = context.tokens.shape
        W = 1 + int(max(words.largest, context.tokens.max(initial=0)))
        there_BT = np.arange(T) < context.lengths[:, None]
        has_BW = np.zeros(B * W, bool)
        has_BW[(np.arange(B)[:, None] * W + context.tokens)[there_BT]] = True
        shared = np.flatnonzero(
            has_BW[np.repeat(context.mentions.rows[named_M] * W, counts_M) + words.tokens[at]]
        )
        begins_M = np.searchsorted(context.owners, named_M)
        which = np.repeat(begins_M, counts_M)[shared] + words.places[at[shared]]
        squares = words.squares(words.tokens[at[shared]])
        sums = np.bincount(which, squares, len(context.triples)).astype(np.float64)
        return sums / np.maximum(words.norms[context.triples], 1e-12)

    return context_score


class BranchWords:
    """The tokens of the branches of entities, each once a branch; those of an entity are worked out at its first use.

    `tokens`, int32, and `places`, uint8: a token, and which of the entity's triples has it, by entity, triple, token;
    `largest`: the largest token; `norms`, float [n]: of a triple's tf-idf vector. Threads may share it.
    """

    def __init__(self, facts: Facts, tokenizer: TripleTokenizer, squares_V: Floats) -> None:
        self.facts, self.tokenizer, self.squares_V = facts, tokenizer, squares_V
        self.norms = np.zeros(len(facts.triples))
        self._starts = np.full(len(facts.starts) - 1, -1, np.int64)
        self._counts = np.zeros(len(facts.starts) - 1, np.int64)
        self.tokens, self.places = np.empty(1024, np.int32), np.empty(1024, np.uint8)
        self.largest = self._used = 0
        self._lock = threading.Lock()

    def squares(self, tokens: Ints | Ints32) -> Floats:
        """The squared weight of each token."""
        weights: Floats = self.squares_V[np.minimum(tokens, len(self.squares_V) - 1)]
        return weights

    def find(self, entities_M: Ints) -> tuple[Ints, Ints]:
        """Where each entity's tokens begin, and how many they are: int [M] each."""
        if (self._starts[entities_M] < 0).any():
            with self._lock:
                self._add(np.unique(entities_M[self._starts[entities_M] < 0]))
        return self._starts[entities_M], self._counts[entities_M]

    def _add(self, entities: Ints) -> None:
        owners, triples = self.facts.first(entities, MAX_CANDIDATES)
        which, token = distinct(*self.tokenizer.branches(self.facts.triples[triples]))
        self.norms[triples] = np.sqrt(np.bincount(which, self.squares(token), len(triples)))
        counts, used = np.bincount(owners[which], minlength=len(entities)), self._used
        end = used + len(token)
        if end > len(self.tokens):
            self.tokens = np.resize(self.tokens, max(end, 2 * len(self.tokens)))
            self.places = np.resize(self.places, len(self.tokens))
        self.tokens[used:end] = token
        self.places[used:end] = (triples - self.facts.starts[entities[owners]])[which]
        self.largest, self._used = max(self.largest, int(token.max(initial=0))), end
        # Starts are written last: other threads take an entity with a start as there.
        self._counts[entities] = counts
        self._starts[entities] = used + np.cumsum(counts) - counts


def distinct(lengths_N: Ints, tokens: Ints) -> tuple[Ints, Ints]:
    """The tokens of N branches, each once a branch, ascending: index of the branch, and token."""
    W = int(tokens.max(initial=0)) + 1
    which, token = np.divmod(np.unique(np.repeat(np.arange(len(lengths_N)), lengths_N) * W + tokens), W)
    return which, token
