"""Shared by methods that write facts of a graph into a text: choice of facts, controls, and the graph in a model
folder."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from kepipe.config import ConfigConflict
from kepipe.knowledge.base import (
    Control,
    Coverage,
    KnowledgeMethod,
    KnowledgeSettings,
    Sources,
    apply_after_corruption,
)
from kepipe.knowledge.choosing.choices import CHOICES
from kepipe.knowledge.entity_lookup import EntityLookup

if TYPE_CHECKING:
    from kepipe.arrays import Ints
    from kepipe.data.batch import Batch, Mentions
    from kepipe.data.row_batches import RowStream
    from kepipe.knowledge.choosing.chooser import FactChooser
    from kepipe.models.protocols import EncoderConfig, TrainableEncoder
    from kepipe.objectives.base import Objective
    from kg.store import Graph

GRAPH_FOLDER = "graph"
"""Subfolder of a model folder with the graph of a method."""


class FactsInText(ABC):
    """Base of a `Knowledge` that writes facts about the mentioned entities into the text; subclasses implement `write`.

    `chooser`: selects the facts. `folder`: the stored graph.
    """

    in_weights: ClassVar[bool] = False

    def __init__(self, chooser: FactChooser, settings: KnowledgeSettings, folder: Path) -> None:
        self.folder = folder
        self._chooser, self._settings = chooser, settings
        self._lookup = EntityLookup(lambda ids: np.array([chooser.row(id) for id in ids], np.int64))

    @property
    def saves_sources(self) -> bool:
        """See `Knowledge`: the graph is saved, vectors that rank its facts are not."""
        from kepipe.knowledge.table import inputs_of

        return inputs_of([self._settings]) == ("graph",)

    @property
    @abstractmethod
    def keeps(self) -> int:
        """See `Knowledge`: the longest row that is not truncated."""

    @abstractmethod
    def write(self, batch: Batch, lengths_B: Ints, mentions: Mentions, entities_M: Ints) -> Batch:
        """The batch with facts. `lengths_B`: tokens of each row. `entities_M`: the graph's row of each mention's
        entity, −1: none."""

    def rows(self, text: RowStream) -> RowStream:
        """See `Knowledge`: the text alone."""
        return text

    def objective(self, objective: Objective) -> Objective:
        """See `Knowledge`. Rankings do not see the masked tokens."""
        return apply_after_corruption(self, objective)

    def apply(self, batch: Batch, mentions: Mentions) -> Batch:
        """See `Knowledge`."""
        lengths_B = (batch.documents.numpy() > 0).sum(1)
        return self.write(batch, lengths_B, mentions, self._lookup.rows(mentions))

    def knows(self, entity: str) -> bool:
        """See `Knowledge`."""
        return self._chooser.row(entity) >= 0

    def coverage(self, mentions: Ints, ids: Sequence[str]) -> Coverage:  # noqa: ARG002
        """See `Knowledge`."""
        known = int((self._lookup.rows_of(ids) >= 0).sum())
        message = f"{known:,} of {len(ids):,} entities of the text are in the graph"
        if not known:
            message += ": nothing is said of them. Were the texts linked to this graph?"
        return Coverage(message, not known)

    def save(self, folder: Path, model: TrainableEncoder) -> None:  # noqa: ARG002
        """See `Knowledge`: the graph, hard-linked if the file system supports it, else copied."""
        from kepipe.flow.artifact import link_folder
        from kepipe.knowledge.opening import write_settings

        link_folder(self.folder, folder / GRAPH_FOLDER)
        write_settings(folder, self._settings)


class GraphMethod(KnowledgeMethod):
    """A row of the table whose settings select facts of a graph (`choice`)."""

    controls = (
        Control("graph-off", {}),
        Control("graph-shuffled", {"graph": "shuffled-graph"}),
        Control("names-only", {"graph": "names-only-graph"}),
    )

    def inputs(self, settings: Any) -> tuple[str, ...]:
        """See `KnowledgeMethod`."""
        return ("graph", "vectors") if CHOICES[settings.choice].needs_vectors else ("graph",)

    def not_with_prompts(self, settings: Any, config: EncoderConfig) -> str | None:  # noqa: ARG002
        """See `KnowledgeMethod`: facts stand before the text."""
        return None

    def carried(self, folder: Path) -> Mapping[str, Path]:
        """See `KnowledgeMethod`."""
        return {"graph": folder / GRAPH_FOLDER} if (folder / GRAPH_FOLDER).exists() else {}


def stored_graph(sources: Sources, method: str) -> Graph:
    """The graph. Raises ValueError, which names the `method`, if there is none."""
    from kg.store import open_graph

    if sources.graph is None:
        raise ValueError(
            f"knowledge: {method} needs a graph: set `inputs: {{graph: graph}}` in the stage, where `graph` is the "
            "stage that makes it"
        )
    return open_graph(sources.graph)


def ranking_vectors(sources: Sources) -> Path | None:
    """The folder with vectors for ranking facts; None if there are none."""
    from kg.vectors import has_vectors

    return sources.vectors if sources.vectors is not None and has_vectors(sources.vectors) else None


def too_short(length: int, rows: int, what: str) -> ConfigConflict:
    """The conflict that a row `length`, facts included, is below the `rows` tokens of the text alone."""
    return ConfigConflict(
        "knowledge.length",
        f"{length} would cut the text, whose rows have {rows} tokens: set `knowledge: {{length: {2 * rows}}}` to have "
        f"room for {what}",
    )
