"""`k-bert`: triples of a graph are written into the text as branches of a sentence tree (Liu et al. 2020, "K-BERT")."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kepipe.config import ConfigConflict
from kepipe.knowledge.base import (
    GRAPH_FOLDER,
    Control,
    Coverage,
    EntityLookup,
    KnowledgeContext,
    KnowledgeMethod,
    Sources,
    apply_after_corruption,
    graph_coverage,
    save_graph,
)
from kepipe.knowledge.choosing.choices import CHOICES
from kepipe.knowledge.kbert.settings import KBert
from kepipe.knowledge.moved_rows import move

if TYPE_CHECKING:
    from kepipe.arrays import Ints
    from kepipe.data.batch import Batch, Mentions
    from kepipe.data.row_batches import RowStream
    from kepipe.knowledge.kbert.injector import Injector
    from kepipe.models.protocols import EncoderConfig, TrainableEncoder
    from kepipe.objectives.base import Objective


class InjectedTriples:
    """Triples that are written beside the mentions of their heads. `folder`: the stored graph."""

    in_weights = False

    def __init__(self, injector: Injector, folder: Path) -> None:
        self.injector, self.folder = injector, folder
        self._lookup = EntityLookup(lambda ids: np.array([injector.chooser.row(id) for id in ids], np.int64))

    def rows(self, text: RowStream) -> RowStream:
        """See `Knowledge`: the text alone."""
        return text

    def objective(self, objective: Objective) -> Objective:
        """See `Knowledge`. No ranking sees what is hidden."""
        return apply_after_corruption(self, objective)

    def apply(self, batch: Batch, mentions: Mentions) -> Batch:
        """See `Knowledge`."""
        from kepipe.objectives.losses import tensor

        lengths_B = (batch.documents.numpy() > 0).sum(1)
        injected = self.injector.build_rows(
            batch.tokens.numpy(), lengths_B, mentions, self._lookup.rows(mentions)
        )
        columns = self.injector.descriptors(injected)
        tree = {name: None if values is None else tensor(values) for name, values in columns.items()}
        moved = move(batch, injected, self.injector.settings.method)
        return replace(moved, **tree)  # type: ignore[arg-type]  # names of tensors alone

    def knows(self, entity: str) -> bool:
        """See `Knowledge`."""
        return self.injector.chooser.row(entity) >= 0

    def coverage(self, mentions: Ints, ids: Sequence[str]) -> Coverage:  # noqa: ARG002
        """See `Knowledge`."""
        return graph_coverage(self._lookup.rows_of(ids)[:-1])

    def save(self, folder: Path, model: TrainableEncoder) -> None:  # noqa: ARG002
        """See `Knowledge`: the graph, linked where the file system can, else copied."""
        from kepipe.knowledge.opening import write_settings

        save_graph(self.folder, folder)
        write_settings(folder, self.injector.settings)


class KBertMethod(KnowledgeMethod):
    """The row of the table."""

    section = KBert
    moves_tokens = True
    about = "writes triples into the text, where each is seen by its mention alone"
    controls = (
        Control("graph-off", {}),
        Control("graph-shuffled", {"graph": "shuffled-graph"}),
        Control("names-only", {"graph": "names-only-graph"}),
    )

    def inputs(self, settings: KBert) -> tuple[str, ...]:
        """See `KnowledgeMethod`."""
        return ("graph", "vectors") if CHOICES[settings.choice].needs_vectors else ("graph",)

    def carried(self, folder: Path) -> Mapping[str, Path]:
        """See `KnowledgeMethod`."""
        return {"graph": folder / GRAPH_FOLDER} if (folder / GRAPH_FOLDER).exists() else {}

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
                f"{table.name_of(context.objective)} does not restore tokens where they stand, so no triples can be "
                f"written beside them: {instead}leave out `knowledge`",
            )
        if settings.length < context.length:
            yield ConfigConflict(
                "knowledge.length",
                f"{settings.length} would cut the text, whose rows have {context.length} tokens: set "
                f"`knowledge: {{length: {2 * context.length}}}` to have room for triples",
            )

    def extend_config(self, config: EncoderConfig, settings: KBert) -> EncoderConfig:
        """See `KnowledgeMethod`: no weights are added. A model that reads no trees takes triples as text alone."""
        if not config.reads_trees and (settings.soft_positions or settings.visible_matrix):
            raise ValueError(
                "this model reads tokens one after the other, and no tree: set `knowledge: {method: k-bert, "
                "soft_positions: false, visible_matrix: false}`, so that triples are read as text"
            )
        return config

    def open(self, settings: KBert, sources: Sources, note: Callable[[str], None]) -> InjectedTriples:  # noqa: ARG002
        """See `KnowledgeMethod`."""
        from kepipe.knowledge.kbert.injector import Injector
        from kg.store import open_graph
        from kg.vectors import has_vectors

        if sources.graph is None:
            raise ValueError(
                "knowledge: k-bert needs a graph: set `inputs: {graph: graph}` in the stage, where `graph` is the "
                "stage that makes it"
            )
        vectors = sources.vectors
        injector = Injector(
            open_graph(sources.graph),
            sources.tokenizer,
            settings,
            causal=sources.config.causal,
            positions=sources.config.positions,
            vectors=vectors if vectors is not None and has_vectors(vectors) else None,
        )
        return InjectedTriples(injector, sources.graph)
