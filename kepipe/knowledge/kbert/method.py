"""`k-bert`: triples of a graph are inserted into the text as branches of a sentence tree (Liu et al. 2020,
"K-BERT")."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.config import ConfigConflict
from kepipe.knowledge.base import KnowledgeContext, Sources
from kepipe.knowledge.graph_method import (
    FactsInText,
    GraphMethod,
    ranking_vectors,
    stored_graph,
    too_short,
)
from kepipe.knowledge.kbert.settings import KBert

if TYPE_CHECKING:
    from kepipe.arrays import Ints
    from kepipe.data.batch import Batch, Mentions
    from kepipe.knowledge.kbert.injector import Injector
    from kepipe.models.protocols import EncoderConfig


class InjectedTriples(FactsInText):
    """Inserts triples next to the mentions of their heads."""

    def __init__(self, injector: Injector, folder: Path) -> None:
        super().__init__(injector.chooser, injector.settings, folder)
        self.injector = injector

    @property
    def keeps(self) -> int:
        """See `Knowledge`. With `upstream`, branches may push out the end of a sentence of any length."""
        settings = self.injector.settings
        return 0 if settings.upstream else settings.length

    def write(self, batch: Batch, lengths_B: Ints, mentions: Mentions, entities_M: Ints) -> Batch:
        """See `FactsInText`."""
        from kepipe.knowledge.moved_rows import move
        from kepipe.objectives.losses import tensor

        injected = self.injector.build_rows(batch.tokens.numpy(), lengths_B, mentions, entities_M)
        columns = self.injector.descriptors(injected)
        tree = {name: None if values is None else tensor(values) for name, values in columns.items()}
        moved = move(batch, injected, self.injector.settings.method)
        return replace(moved, **tree)  # type: ignore[arg-type]  # names of tensors alone


class KBertMethod(GraphMethod):
    """The row of the table."""

    section = KBert
    moves_tokens = True
    about = "writes triples into the text, each visible to its mention only"

    def conflicts(self, settings: KBert, context: KnowledgeContext) -> Iterator[ConfigConflict]:
        """See `KnowledgeMethod`."""
        from kepipe.objectives import table
        from kepipe.objectives.requirements import others

        if context.objective is None:
            return
        row = table.row_of(context.objective)
        if row.stack == "encoder-decoder":
            stacks = getattr(context.model, "stacks", None)
            fitting = [name for name, its in table.TABLE.items() if its.stack == stacks != row.stack]
            instead = f"set `objective: {fitting[0]}`{others(fitting)}, or " if fitting else ""
            yield ConfigConflict(
                "objective",
                f"{table.name_of(context.objective)} does not predict tokens at their own positions, so triples cannot "
                f"be inserted: {instead}leave out `knowledge`",
            )
        if settings.length < context.length:
            yield too_short(settings.length, context.length, "triples")

    def extend_config(self, config: EncoderConfig, settings: KBert) -> EncoderConfig:
        """See `KnowledgeMethod`: no weights are added. A model that does not support trees can only read triples as
        text."""
        if not config.reads_trees and (settings.soft_positions or settings.visible_matrix):
            raise ValueError(
                "this model reads tokens in sequence and does not support trees: set `knowledge: {method: k-bert, "
                "soft_positions: false, visible_matrix: false}`, so that triples are read as text"
            )
        return config

    def not_with_prompts(self, settings: KBert, config: EncoderConfig) -> str | None:
        """See `KnowledgeMethod`: trees in prompts need a decoder; triples as text work with any model."""
        if config.causal or not (settings.soft_positions or settings.visible_matrix):
            return None
        return (
            "its tree needs a decoder-only model (gpt2): set `{method: k-bert, soft_positions: false, "
            "visible_matrix: false}`, so that triples are read as text"
        )

    def open(self, settings: KBert, sources: Sources, note: Callable[[str], None]) -> InjectedTriples:  # noqa: ARG002
        """See `KnowledgeMethod`."""
        from kepipe.knowledge.kbert.injector import Injector

        graph = stored_graph(sources, settings.method)
        injector = Injector(
            graph,
            sources.tokenizer,
            settings,
            causal=sources.facts_first,
            positions=sources.config.positions,
            vectors=ranking_vectors(sources),
        )
        return InjectedTriples(injector, graph.folder)
