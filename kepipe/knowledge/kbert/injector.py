"""Rows with mentions → sentence trees: look up, choose, tokenise and insert triples, vectorised over the batch."""

from __future__ import annotations

from pathlib import Path

from kepipe.arrays import Ints
from kepipe.data.batch import MentionSpans
from kepipe.knowledge.choosing.chooser import Chosen, FactChooser
from kepipe.knowledge.choosing.triple_tokenizer import TripleTokenizer
from kepipe.knowledge.kbert.settings import KBert
from kepipe.knowledge.kbert.tree import Branches, InjectedRows, TreeShape, build_rows
from kepipe.tokenization.tokenizer import Tokenizer
from kg.store import Graph


class Injector:
    """Inserts triples of a graph into token rows.

    `causal`: for a decoder (see `TreeShape`). `positions`: the model's number of positions. `vectors`: for `choice:
    plausible`.
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
        self.settings = settings
        self._shape = TreeShape(settings.length, positions or None, causal, settings.upstream, tokenizer.pad)
        self._triple_tokenizer = TripleTokenizer(graph, tokenizer, settings.predicate)
        self.chooser = FactChooser(graph, settings.splits, settings.choice, self._triple_tokenizer, vectors)

    def descriptors(self, injected: InjectedRows) -> dict[str, Ints | None]:
        """The batch fields `positions`, `branch`, `mention`; None if the settings turn them off."""
        return {
            "positions": injected.positions if self.settings.soft_positions else None,
            "branch": injected.branch if self.settings.visible_matrix else None,
            "mention": injected.mention if self.settings.visible_matrix else None,
        }

    def build_rows(
        self, tokens_BT: Ints, lengths_B: Ints, mentions: MentionSpans, entities_M: Ints
    ) -> InjectedRows:
        """The trees of padded rows. `entities_M`: the graph's row of each mention, −1 if it has none."""
        return self.attach_triples(
            tokens_BT, lengths_B, mentions, self.choose(tokens_BT, lengths_B, mentions, entities_M)
        )

    def choose(self, tokens_BT: Ints, lengths_B: Ints, mentions: MentionSpans, entities_M: Ints) -> Chosen:
        """The top-ranked triples of each mention's entity."""
        return self.chooser.choose(tokens_BT, lengths_B, mentions, entities_M, self.settings.max_branches)

    def attach_triples(
        self, tokens_BT: Ints, lengths_B: Ints, mentions: MentionSpans, chosen: Chosen
    ) -> InjectedRows:
        """The trees with the chosen triples. `InjectedRows.kept` is in the order of `chosen`."""
        lengths, tokens = self._triple_tokenizer.branches(chosen.triples)
        return build_rows(
            tokens_BT,
            lengths_B,
            mentions,
            Branches(chosen.mentions, lengths, tokens),
            self._shape,
        )
