"""From rows with mentions to sentence trees: look up, choose, word, plant. Nothing is done token by token."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kepipe.arrays import Floats, Ints, Ints32
from kepipe.data.batch import MentionSpans
from kepipe.knowledge.kbert.choices import CHOICES
from kepipe.knowledge.kbert.facts import Facts
from kepipe.knowledge.kbert.ranking import RankingContext, RankingSources
from kepipe.knowledge.kbert.settings import KBert
from kepipe.knowledge.kbert.tree import Branches, InjectedRows, TreeShape, build_rows
from kepipe.knowledge.kbert.triple_tokenizer import TripleTokenizer
from kepipe.tokenization.tokenizer import Tokenizer
from kg.store import Graph, UnknownEntityError

LOOKED_AT = 256
"""Most triples of an entity that a ranking by context compares: the first of the graph's order."""


@dataclass(frozen=True)
class Chosen:
    """N triples to hang, those of an anchor best first.

    `mentions`: int [N], the anchor of each. `triples`: int32 [N, 3]. `scores`: float [N], what the ranking gave.
    """

    mentions: Ints
    triples: Ints32
    scores: Floats


class Injector:
    """Writes triples of a graph into token rows.

    `causal`: for a decoder (see `build_rows`). `positions`: how many the model has. `vectors`: for `choice: plausible`.
    """

    def __init__(
        self,
        graph: Graph,
        tokenizer: Tokenizer,
        settings: KBert,
        *,
        causal: bool = False,
        positions: int | None = None,
        vectors: Path | None = None,
    ) -> None:
        self.graph, self.settings = graph, settings
        self._shape = TreeShape(settings.length, positions or None, causal, settings.upstream, tokenizer.pad)
        self._triple_tokenizer = TripleTokenizer(graph, tokenizer, settings.predicate)
        facts = Facts.of(graph, settings.splits)
        choice, ground = (
            CHOICES[settings.choice],
            RankingSources(graph, facts, self._triple_tokenizer, vectors),
        )
        self._static_scores = None
        if choice.static_score is not None:
            static_score = choice.static_score(ground)
            facts = facts.ranked(static_score)
            self._static_scores = static_score[np.lexsort((-static_score, facts.triples[:, 0]))]
        self.facts = facts
        self._context_score = None if choice.context_score is None else choice.context_score(ground)
        self._rows: dict[str, int] = {}

    def descriptors(self, injected: InjectedRows) -> dict[str, Ints | None]:
        """`positions`, `branch`, `mention` as the settings want them in a batch; None: nothing to say."""
        return {
            "positions": injected.positions if self.settings.soft_positions else None,
            "branch": injected.branch if self.settings.visible_matrix else None,
            "mention": injected.mention if self.settings.visible_matrix else None,
        }

    def build_rows(
        self, tokens_BT: Ints, lengths_B: Ints, mentions: MentionSpans, entities_M: Ints
    ) -> InjectedRows:
        """The trees of padded rows. `entities_M`: the graph's row of each anchor, −1 for one that has none."""
        return self.attach_triples(
            tokens_BT, lengths_B, mentions, self.choose(tokens_BT, lengths_B, mentions, entities_M)
        )

    def choose(self, tokens_BT: Ints, lengths_B: Ints, mentions: MentionSpans, entities_M: Ints) -> Chosen:
        """The triples of each anchor's entity that rank first."""
        most = self.settings.max_branches
        if self._context_score is None:
            owners, triples = self.facts.first(entities_M, most)
            scores = np.zeros(len(triples)) if self._static_scores is None else self._static_scores[triples]
            return Chosen(owners, self.facts.triples[triples], scores)
        owners, triples = self.facts.first(entities_M, LOOKED_AT)
        scores = self._context_score(
            RankingContext(tokens_BT, lengths_B, mentions, entities_M, owners, triples)
        )
        order = np.lexsort((-scores, owners))
        begins = np.searchsorted(owners, owners[order])
        best = order[np.arange(len(order)) - begins < most]
        return Chosen(owners[best], self.facts.triples[triples[best]], scores[best])

    def attach_triples(
        self, tokens_BT: Ints, lengths_B: Ints, mentions: MentionSpans, chosen: Chosen
    ) -> InjectedRows:
        """The trees that chosen triples make. `InjectedRows.kept` speaks of them, in their order."""
        lengths, tokens = self._triple_tokenizer.branches(chosen.triples)
        return build_rows(
            tokens_BT,
            lengths_B,
            mentions,
            Branches(chosen.mentions, lengths, tokens),
            self._shape,
        )

    def row(self, id: str) -> int:
        """The graph's row of an entity, −1 for one that it does not have."""
        found = self._rows.get(id)
        if found is None:
            try:
                found = self.graph.row(id)
            except UnknownEntityError:
                found = -1
            self._rows[id] = found
        return found
