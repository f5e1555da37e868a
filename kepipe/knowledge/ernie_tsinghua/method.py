"""`ernie-tsinghua`: entity vectors are fused with the tokens of their mentions (Zhang et al. 2019, "ERNIE: Enhanced
Language Representation with Informative Entities")."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kepipe.arrays import VectorRows
from kepipe.config import ConfigConflict
from kepipe.knowledge.base import (
    Control,
    Coverage,
    KnowledgeContext,
    KnowledgeMethod,
    Sources,
    apply_after_corruption,
)
from kepipe.knowledge.entity_lookup import EntityLookup
from kepipe.knowledge.ernie_tsinghua.settings import ErnieTsinghua
from kepipe.models.config import FusionConfig, TransformerConfig
from kg.vectors import has_vectors

if TYPE_CHECKING:
    from kepipe.arrays import Ints
    from kepipe.data.batch import Batch, Mentions
    from kepipe.data.row_batches import RowStream
    from kepipe.knowledge.ernie_tsinghua.vectors import EntityVectors
    from kepipe.models.protocols import EncoderConfig, TrainableEncoder
    from kepipe.objectives.base import Objective

NO_VECTORS = (
    "ernie-tsinghua needs the vectors of a graph: set `inputs: {vectors: embed}` in the stage, where `embed` is the "
    "stage that makes them"
)


class FusedEntities:
    """Adds the entity vector of each mention at its first token."""

    in_weights = True
    saves_sources = True
    keeps = None

    def __init__(self, vectors: EntityVectors, settings: ErnieTsinghua) -> None:
        self.vectors, self.settings = vectors, settings
        self._lookup = EntityLookup(vectors.rows)

    def rows(self, text: RowStream) -> RowStream:
        """See `Knowledge`: the text alone."""
        return text

    def objective(self, objective: Objective) -> Objective:
        """See `Knowledge`: with `denoising`, the denoising entity auto-encoder is added."""
        from kepipe.objectives.ernie2.label_loss import LabelLoss

        if not self.settings.denoising or isinstance(objective.criterion, LabelLoss):
            return apply_after_corruption(self, objective)
        from kepipe.knowledge.ernie_tsinghua.denoising import EntityLoss, LinkDenoisingCollator
        from kepipe.objectives.base import Objective
        from kepipe.objectives.losses import LossSum
        from kepipe.objectives.masked_lm import MaskedCollator

        masked, weights = objective.collate, self.settings.weights
        if not isinstance(masked, MaskedCollator):
            raise ValueError(
                "ernie-tsinghua predicts entities along with masked tokens: set `denoising: false`"
            )
        of_tokens, of_rows, *_ = objective.criterion.terms
        return Objective(
            LinkDenoisingCollator(masked, self, self.settings),
            LossSum(
                objective.criterion,
                EntityLoss(),
                weights={of_tokens: weights.mlm, of_rows: weights.nsp, "dea": weights.dea},
            ),
        )

    def apply(self, batch: Batch, mentions: Mentions) -> Batch:
        """See `Knowledge`: each mention's vector is placed at its first token."""
        from kepipe.knowledge.ernie_tsinghua.vectors import attach

        moved = None if batch.moved is None else batch.moved.numpy()
        shape = (batch.tokens.shape[0], batch.tokens.shape[1])
        return attach(batch, self.links(shape, mentions, moved), self.vectors)

    def links(self, shape: tuple[int, ...], mentions: Mentions, moved: Ints | None = None) -> VectorRows:
        """The row of its vector at the first token of each mention, −1 elsewhere: int [B, T].

        `moved`: int [B, T before], the new column of each token if tokens were moved.
        """
        links_BT = np.full(shape, -1, np.int64)
        first = mentions.first if moved is None else moved[mentions.rows, mentions.first]
        remains = first >= 0
        links_BT[mentions.rows[remains], first[remains]] = self._lookup.rows(mentions)[remains]
        return VectorRows(links_BT)

    def knows(self, entity: str) -> bool:
        """See `Knowledge`."""
        return bool(self.vectors.rows([entity])[0] >= 0)

    def coverage(self, mentions: Ints, ids: Sequence[str]) -> Coverage:
        """See `Knowledge`."""
        rows = self._lookup.rows_of(ids)
        present = np.unique(mentions)
        counts = {
            "mentions": len(mentions),
            "mentions_with_vector": int((rows[mentions] >= 0).sum()),
            "entities": len(present),
            "entities_with_vector": int((rows[present] >= 0).sum()),
        }
        message = (
            f"{counts['mentions_with_vector']:,} of {counts['mentions']:,} linked mentions have a vector; "
            f"{counts['entities_with_vector']:,} of {counts['entities']:,} entities"
        )
        if not counts["mentions_with_vector"]:
            message += ": the model learns nothing about the graph. Are text and vectors of the same graph?"
        return Coverage(message, not counts["mentions_with_vector"], counts)

    def save(self, folder: Path, model: TrainableEncoder) -> None:
        """See `Knowledge`: the vectors, in their trained state if they were trained."""
        from kepipe.knowledge.opening import write_settings
        from kepipe.models.transformer import Transformer

        assert isinstance(model, Transformer), "only transformers fuse entity vectors"
        self.vectors.save(folder, model.trained_entity_vectors())
        write_settings(folder, self.settings)


class ErnieTsinghuaMethod(KnowledgeMethod):
    """The row of the table."""

    section = ErnieTsinghua
    in_weights = True
    about = "fuses the vectors of entities with the tokens of their mentions"
    controls = (
        Control("graph-off", {}),
        Control("graph-shuffled", {"vectors": "shuffled-vectors"}),
        Control("names-only", {"vectors": "names-only-vectors"}),
    )

    def inputs(self, settings: ErnieTsinghua) -> tuple[str, ...]:  # noqa: ARG002
        """See `KnowledgeMethod`."""
        return ("vectors",)

    def names_places(self, settings: ErnieTsinghua) -> str | None:
        """See `KnowledgeMethod`: the denoising loss refers to linked positions."""
        return "set `{method: ernie-tsinghua, denoising: false}` beside it" if settings.denoising else None

    def implied(self, sources: Sources) -> ErnieTsinghua | None:
        """See `KnowledgeMethod`: implied by a model with fusion layers, if there are vectors."""
        fuses = _fusion(sources.config) is not None and sources.vectors is not None
        return ErnieTsinghua() if fuses else None

    def carried(self, folder: Path) -> Mapping[str, Path]:
        """See `KnowledgeMethod`: the vectors are files of the model's folder."""
        return {"vectors": folder} if has_vectors(folder) else {}

    def not_with_prompts(self, settings: ErnieTsinghua, config: EncoderConfig) -> str | None:  # noqa: ARG002
        """See `KnowledgeMethod`."""
        return (
            "its vectors enter the layers of an encoder, but a model that continues a prompt only reads text"
        )

    def brought(self, config: EncoderConfig) -> tuple[str, ...]:
        """See `KnowledgeMethod`."""
        return () if _fusion(config) is None else ("vectors",)

    def conflicts(self, settings: ErnieTsinghua, context: KnowledgeContext) -> Iterator[ConfigConflict]:
        """See `KnowledgeMethod`."""
        from kepipe.objectives import table

        if context.objective is None or not settings.denoising or table.row_of(context.objective).masks_units:
            return
        yield ConfigConflict(
            "objective",
            f"{table.name_of(context.objective)} has no masked tokens along with which ernie-tsinghua could predict "
            "entities: set `objective: mlm`, or `denoising: false` in knowledge",
        )

    def extend_config(self, config: EncoderConfig, settings: ErnieTsinghua) -> EncoderConfig:
        """See `KnowledgeMethod`. The dimension of the vectors is not known yet."""
        if not isinstance(config, TransformerConfig):
            raise ValueError("ernie-tsinghua adds layers to a transformer's encoder, which this model is not")
        if config.fusion is not None:
            return config
        width = settings.entity_hidden or settings.entity_heads
        return replace(config, fusion=settings.fusion(config.encoder_layers, width, 0))

    def extend_model(
        self, model: Any, knowledge: FusedEntities, seed: int, note: Callable[[str], None]
    ) -> Any:
        """See `KnowledgeMethod`: adds fusion layers and a head that scores entities, unless the model has them."""
        import torch

        from kepipe.models.assemble import fuse

        vectors = knowledge.vectors
        if model.config.fusion is not None:
            return model
        fusion = knowledge.settings.fusion(model.config.encoder_layers, vectors.width, len(vectors))
        model, new_weights = fuse(model, fusion, seed)
        if model.entity_table is not None:
            with torch.no_grad():
                model.entity_table.weight.copy_(torch.from_numpy(vectors.table()))
        count = sum(weight.numel() for name, weight in model.named_parameters() if name in new_weights)
        note(
            f"entity vectors of dimension {fusion.hidden} are fused with the tokens after layer {fusion.first}: "
            f"{count:,} new weights, initialised at random"
        )
        return model

    def open(self, settings: ErnieTsinghua, sources: Sources, note: Callable[[str], None]) -> FusedEntities:
        """See `KnowledgeMethod`."""
        from kepipe.knowledge.ernie_tsinghua.vectors import EntityVectors

        if sources.vectors is None:
            raise ValueError(f"knowledge: {NO_VECTORS}")
        if sources.neighbours is None:
            vectors = EntityVectors.open(sources.vectors)
        else:
            from kg.store import open_graph

            vectors = EntityVectors.open(sources.vectors, open_graph(sources.neighbours))
            note(f"{vectors.composed:,} entities without a vector got one composed from their neighbours")
        fusion = _fusion(sources.config)
        if fusion is not None and (vectors.width, fusion.rows or len(vectors)) != (
            fusion.hidden,
            len(vectors),
        ):
            raise ValueError(
                f"base: the model was built for {fusion.rows or 'any number of'} entity vectors of dimension "
                f"{fusion.hidden}, these are {len(vectors)} of dimension {vectors.width}"
            )
        if fusion is not None and fusion.rows:
            _check_order(vectors, sources)
        return FusedEntities(vectors, settings)


def _check_order(vectors: EntityVectors, sources: Sources) -> None:
    """Check that the vectors have the ids of a model with trained vectors, in the same order. Raises ValueError."""
    from kg.vectors import open_vectors

    brought = sources.brought_vectors
    if brought in (None, sources.vectors):
        return
    assert brought is not None
    if list(open_vectors(brought).ids) != list(vectors.vectors.ids):
        raise ValueError(
            f"{sources.vectors}: the model has trained vectors of other entities and uses its own: remove these"
        )


def _fusion(config: EncoderConfig) -> FusionConfig | None:
    """The fusion config of a model; None if it has no fusion layers."""
    return config.fusion if isinstance(config, TransformerConfig) else None
