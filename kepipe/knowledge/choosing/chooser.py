"""Select the top-ranked facts of mentioned entities, with or without regard to the text."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kepipe.arrays import Floats, Ints, Ints32
from kepipe.data.batch import MentionSpans
from kepipe.knowledge.choosing.choices import CHOICES, ChoiceName
from kepipe.knowledge.choosing.facts import Facts
from kepipe.knowledge.choosing.ranking import MAX_CANDIDATES, RankingContext, RankingSources
from kepipe.knowledge.choosing.triple_tokenizer import TripleTokenizer
from kg.store import Graph, UnknownEntityError


@dataclass(frozen=True)
class Chosen:
    """N selected triples, those of each mention best first.

    `mentions`: int [N], the mention index of each. `triples`: int32 [N, 3]. `scores`: float [N], by the ranking.
    """

    mentions: Ints
    triples: Ints32
    scores: Floats


class FactChooser:
    """Selects among the triples of some splits of a graph.

    `triple_tokenizer`: gives the tokens that rankings compare with a text. `vectors`: for `plausible`, see `CHOICES`.
    Raises ValueError if the choice needs vectors and there are none.
    """

    def __init__(
        self,
        graph: Graph,
        splits: Iterable[str],
        choice: ChoiceName,
        triple_tokenizer: TripleTokenizer,
        vectors: Path | None = None,
    ) -> None:
        self.graph = graph
        row, facts = CHOICES[choice], Facts.of(graph, splits)
        sources = RankingSources(graph, facts, triple_tokenizer, vectors)
        self._static_scores = None
        if row.static_score is not None:
            static_score = row.static_score(sources)
            facts = facts.ranked(static_score)
            self._static_scores = static_score[np.lexsort((-static_score, facts.triples[:, 0]))]
        self.facts = facts
        self._context_score = None if row.context_score is None else row.context_score(sources)
        self._rows: dict[str, int] = {}

    def choose(
        self, tokens_BT: Ints, lengths_B: Ints, mentions: MentionSpans, entities_M: Ints, most: int
    ) -> Chosen:
        """Up to `most` triples of each mention's entity. `entities_M`: the graph's row of each, −1: none."""
        if self._context_score is None:
            owners, triples = self.facts.first(entities_M, most)
            scores = np.zeros(len(triples)) if self._static_scores is None else self._static_scores[triples]
            return Chosen(owners, self.facts.triples[triples], scores)
        owners, triples = self.facts.first(entities_M, MAX_CANDIDATES)
        scores = self._context_score(
            RankingContext(tokens_BT, lengths_B, mentions, entities_M, owners, triples)
        )
        best = best_of(scores, owners, most)
        return Chosen(owners[best], self.facts.triples[triples[best]], scores[best])

    def row(self, id: str) -> int:
        """The graph's row of an entity, −1 if it is not in the graph."""
        row = self._rows.get(id)
        if row is None:
            try:
                row = self.graph.row(id)
            except UnknownEntityError:
                row = -1
            self._rows[id] = row
        return row


def best_of(scores_C: Floats, owners_C: Ints, most: int) -> Ints:
    """Indices of up to `most` of the highest scores of each owner, best first; of equal ones the first.

    `owners_C`: ascending. A pass over all for each of `most`, which are few, takes a tenth of the time of sorting.
    """
    if not len(owners_C):
        return np.empty(0, np.int64)
    begins = np.flatnonzero(np.diff(owners_C, prepend=owners_C[0] - 1))
    sizes = np.diff(begins, append=len(owners_C))
    group_C, left_C = np.repeat(np.arange(len(begins)), sizes), scores_C.copy()
    taken: list[Ints] = []
    for number in range(min(most, int(sizes.max()))):
        highest = np.flatnonzero(left_C == np.repeat(np.maximum.reduceat(left_C, begins), sizes))
        first = highest[np.flatnonzero(np.diff(group_C[highest], prepend=-1))]
        left_C[first] = -np.inf
        taken.append(first[sizes > number])
    best = np.concatenate(taken) if taken else np.empty(0, np.int64)
    return best[np.argsort(group_C[best], kind="stable")]
