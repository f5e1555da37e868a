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
from kepipe.knowledge.choosing.ranking import RankingContext, RankingSources
from kepipe.knowledge.choosing.triple_tokenizer import TripleTokenizer
from kg.store import Graph, UnknownEntityError

MAX_CANDIDATES = 256
"""A context ranking scores at most this many triples of an entity, the first in the graph's order."""


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
        order = np.lexsort((-scores, owners))
        begins = np.searchsorted(owners, owners[order])
        best = order[np.arange(len(order)) - begins < most]
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
