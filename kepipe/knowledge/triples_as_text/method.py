"""`triples-as-text`: facts of a graph written as sentences, for a pretraining to learn, or beside a text to read.

The strong and simple baseline that methods which bring facts have to beat (Moiseev et al. 2022, "SKILL").
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.config import ConfigConflict
from kepipe.knowledge.base import (
    GRAPH_FOLDER,
    Control,
    Coverage,
    EntityLookup,
    KnowledgeContext,
    KnowledgeMethod,
    LearnedKnowledge,
    Sources,
    apply_after_corruption,
    graph_coverage,
    save_graph,
)
from kepipe.knowledge.choosing.choices import CHOICES
from kepipe.knowledge.triples_as_text.settings import TriplesAsText

if TYPE_CHECKING:
    from kepipe.arrays import Ints
    from kepipe.data.batch import Batch, Mentions
    from kepipe.data.row_batches import RowStream
    from kepipe.knowledge.triples_as_text.appended_facts import FactAppender
    from kepipe.knowledge.triples_as_text.fact_rows import StatedFacts
    from kepipe.models.protocols import TrainableEncoder
    from kepipe.objectives.base import Objective
    from kepipe.tokenization.tokenizer import Tokenizer
    from kg.store import Graph


@dataclass(frozen=True)
class LearnedFacts(LearnedKnowledge):
    """Facts that are learned as rows of their own, among those of the text."""

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


class FactsBesideText:
    """Facts of the entities that a text names, written after it. `folder`: the stored graph."""

    in_weights = False

    def __init__(self, appender: FactAppender, folder: Path) -> None:
        from kepipe.knowledge.triples_as_text.appended_facts import known_rows

        self.appender, self.folder = appender, folder
        self._lookup = EntityLookup(lambda ids: known_rows(appender.chooser, ids))

    def rows(self, text: RowStream) -> RowStream:
        """See `Knowledge`: the text alone."""
        return text

    def objective(self, objective: Objective) -> Objective:
        """See `Knowledge`."""
        return apply_after_corruption(self, objective)

    def apply(self, batch: Batch, mentions: Mentions) -> Batch:
        """See `Knowledge`."""
        from kepipe.knowledge.moved_rows import move

        lengths_B = (batch.documents.numpy() > 0).sum(1)
        rows = self.appender.build_rows(
            batch.tokens.numpy(), lengths_B, mentions, self._lookup.rows(mentions)
        )
        return move(batch, rows, self.appender.settings.method)

    def knows(self, entity: str) -> bool:
        """See `Knowledge`."""
        return self.appender.chooser.row(entity) >= 0

    def coverage(self, mentions: Ints, ids: Sequence[str]) -> Coverage:  # noqa: ARG002
        """See `Knowledge`."""
        return graph_coverage(self._lookup.rows_of(ids)[:-1])

    def save(self, folder: Path, model: TrainableEncoder) -> None:  # noqa: ARG002
        """See `Knowledge`: the graph; templates stand among the settings."""
        from kepipe.knowledge.opening import write_settings

        save_graph(self.folder, folder)
        write_settings(folder, self.appender.settings)


class TriplesAsTextMethod(KnowledgeMethod):
    """The row of the table."""

    section = TriplesAsText
    about = "writes facts as sentences, which a pretraining learns among its text, and which elsewhere follow a text"
    controls = (
        Control("graph-off", {}),
        Control("graph-shuffled", {"graph": "shuffled-graph"}),
        Control("names-only", {"graph": "names-only-graph"}),
    )

    def inputs(self, settings: TriplesAsText) -> tuple[str, ...]:
        """See `KnowledgeMethod`."""
        return ("graph", "vectors") if CHOICES[settings.choice].needs_vectors else ("graph",)

    def carried(self, folder: Path) -> Mapping[str, Path]:
        """See `KnowledgeMethod`."""
        return {"graph": folder / GRAPH_FOLDER} if (folder / GRAPH_FOLDER).exists() else {}

    def conflicts(self, settings: TriplesAsText, context: KnowledgeContext) -> Iterator[ConfigConflict]:
        """See `KnowledgeMethod`."""
        if context.objective is None and settings.length < context.length:
            yield ConfigConflict(
                "knowledge.length",
                f"{settings.length} would cut the text, whose rows have {context.length} tokens: set `knowledge: "
                f"{{length: {2 * context.length}}}` to have room for facts",
            )

    def open_to_learn(
        self, settings: TriplesAsText, sources: Sources, note: Callable[[str], None]
    ) -> LearnedFacts:
        """See `KnowledgeMethod`: facts among the rows."""
        from kepipe.knowledge.triples_as_text.fact_rows import StatedFacts
        from kg.templates import templates_of

        graph = _graph(sources)
        facts = StatedFacts.of(graph, settings.splits, templates_of(graph, settings.templates))
        return LearnedFacts(facts, sources.tokenizer, settings.share, note)

    def open(
        self,
        settings: TriplesAsText,
        sources: Sources,
        note: Callable[[str], None],  # noqa: ARG002
    ) -> FactsBesideText:
        """See `KnowledgeMethod`: facts beside a text."""
        from kepipe.knowledge.choosing.chooser import FactChooser
        from kepipe.knowledge.choosing.triple_tokenizer import TripleTokenizer
        from kepipe.knowledge.triples_as_text.appended_facts import FactAppender
        from kg.templates import templates_of
        from kg.vectors import has_vectors

        graph, vectors = _graph(sources), sources.vectors
        words = TripleTokenizer(graph, sources.tokenizer, predicate=True)
        vectors = vectors if vectors is not None and has_vectors(vectors) else None
        appender = FactAppender(
            graph,
            FactChooser(graph, settings.splits, settings.choice, words, vectors),
            templates_of(graph, settings.templates),
            sources.tokenizer,
            settings,
            causal=sources.config.causal,
            positions=sources.config.positions,
        )
        assert sources.graph is not None
        return FactsBesideText(appender, sources.graph)


def _graph(sources: Sources) -> Graph:
    """The graph. Raises ValueError where there is none."""
    from kg.store import open_graph

    if sources.graph is None:
        raise ValueError(
            "knowledge: triples-as-text needs a graph: set `inputs: {graph: graph}` in the stage, where `graph` is the "
            "stage that makes it"
        )
    return open_graph(sources.graph)
