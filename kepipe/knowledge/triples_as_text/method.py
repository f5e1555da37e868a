"""`triples-as-text`: facts of a graph as sentences, learned in pretraining, or added to a text as input.

A simple and strong baseline for other methods with facts (Moiseev et al. 2022, "SKILL").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.knowledge.base import KnowledgeContext, LearnedKnowledge, Sources
from kepipe.knowledge.graph_method import (
    FactsInText,
    GraphMethod,
    ranking_vectors,
    stored_graph,
    too_short,
)
from kepipe.knowledge.triples_as_text.settings import TriplesAsText

if TYPE_CHECKING:
    from kepipe.arrays import Ints
    from kepipe.config import ConfigConflict
    from kepipe.data.batch import Batch, Mentions
    from kepipe.data.row_batches import RowStream
    from kepipe.knowledge.triples_as_text.appended_facts import FactAppender
    from kepipe.knowledge.triples_as_text.fact_rows import StatedFacts
    from kepipe.tokenization.tokenizer import Tokenizer


@dataclass(frozen=True)
class LearnedFacts(LearnedKnowledge):
    """Facts as pretraining rows of their own, mixed with those of the text."""

    facts: StatedFacts
    tokenizer: Tokenizer
    share: float
    note: Callable[[str], None]

    def rows(self, text: RowStream) -> RowStream:
        """See `Knowledge`."""
        from kepipe.knowledge.triples_as_text.fact_rows import FactRows, MixedRows

        facts = FactRows(self.facts, self.tokenizer, text.shape)
        stated = len(self.facts.triples) - facts.too_long
        left_out = f"; {facts.too_long:,} are longer than a row" if facts.too_long else ""
        self.note(f"{stated:,} facts are learned as text, in {self.share:.0%} of the batches{left_out}")
        return MixedRows(text, facts, self.share)


class FactsBesideText(FactsInText):
    """Facts about the mentioned entities, added after the text."""

    def __init__(self, appender: FactAppender, folder: Path) -> None:
        super().__init__(appender.chooser, appender.settings, folder)
        self.appender = appender

    @property
    def keeps(self) -> int:
        """See `Knowledge`."""
        return self.appender.length

    def write(self, batch: Batch, lengths_B: Ints, mentions: Mentions, entities_M: Ints) -> Batch:
        """See `FactsInText`."""
        from kepipe.knowledge.moved_rows import move

        rows = self.appender.build_rows(batch.tokens.numpy(), lengths_B, mentions, entities_M)
        return move(batch, rows, self.appender.settings.method)


class TriplesAsTextMethod(GraphMethod):
    """The row of the table."""

    section = TriplesAsText
    about = "writes facts as sentences, which a pretraining learns among its text, and which elsewhere go with a text"

    def conflicts(self, settings: TriplesAsText, context: KnowledgeContext) -> Iterator[ConfigConflict]:
        """See `KnowledgeMethod`."""
        if context.objective is None and settings.length < context.length:
            yield too_short(settings.length, context.length, "facts")

    def open_to_learn(
        self, settings: TriplesAsText, sources: Sources, note: Callable[[str], None]
    ) -> LearnedFacts:
        """See `KnowledgeMethod`: facts among the rows."""
        from kepipe.knowledge.triples_as_text.fact_rows import StatedFacts
        from kg.templates import templates_of

        graph = stored_graph(sources, settings.method)
        facts = StatedFacts.of(graph, settings.splits, templates_of(graph, settings.templates))
        return LearnedFacts(facts, sources.tokenizer, settings.share, note)

    def open(
        self,
        settings: TriplesAsText,
        sources: Sources,
        note: Callable[[str], None],  # noqa: ARG002
    ) -> FactsBesideText:
        """See `KnowledgeMethod`: facts added to a text."""
        from kepipe.knowledge.choosing.chooser import FactChooser
        from kepipe.knowledge.choosing.triple_tokenizer import TripleTokenizer
        from kepipe.knowledge.triples_as_text.appended_facts import FactAppender
        from kg.templates import templates_of

        graph = stored_graph(sources, settings.method)
        words = TripleTokenizer(graph, sources.tokenizer, predicate=True)
        appender = FactAppender(
            graph,
            FactChooser(graph, settings.splits, settings.choice, words, ranking_vectors(sources)),
            templates_of(graph, settings.templates),
            sources.tokenizer,
            settings,
            causal=sources.facts_first,
            positions=sources.config.positions,
        )
        return FactsBesideText(appender, graph.folder)
