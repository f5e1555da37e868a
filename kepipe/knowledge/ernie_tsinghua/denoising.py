"""The denoising entity auto-encoder, trained together with masked language modelling: some links are replaced or
removed, and the model predicts the true entity of each linked mention."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from kepipe.arrays import VectorRows
from kepipe.data.batch import Batch, TokenRows
from kepipe.knowledge.ernie_tsinghua.link_noise import change_links, draw_links, draw_links_of_batch
from kepipe.knowledge.ernie_tsinghua.settings import ErnieTsinghua
from kepipe.knowledge.ernie_tsinghua.vectors import attach
from kepipe.objectives.losses import HiddenCriterion, PairModel, tensor

if TYPE_CHECKING:
    from kepipe.knowledge.ernie_tsinghua.method import FusedEntities
    from kepipe.objectives.masked_lm import MaskedCollator


class EntityModel(PairModel, Protocol):
    """A model that fuses entity vectors and scores entities."""

    def entity_vectors(self, batch: Batch) -> Tensor | None:
        """Vectors [M, E] of the batch's entities."""
        ...

    def entity_scores(self, hidden_ND: Tensor, vectors_ME: Tensor) -> Tensor:
        """Logits [N, M]."""
        ...


@dataclass(frozen=True)
class LinkDenoisingCollator:
    """Masks tokens with `masked`, and corrupts links (Zhang et al. 2019, §3.4).

    In `Batch.extra`, with N linked positions and C entities: `linked`, int [N], flat positions; `truth`, int [N],
    index of the true entity in `candidates`; `candidates`, int [C], rows of the batch's entity vectors; `changed`, int
    [N'], indices into the N whose link was replaced or removed.
    """

    masked: MaskedCollator
    entities: FusedEntities
    settings: ErnieTsinghua

    def __call__(self, rows: TokenRows, rng: np.random.Generator, progress: float) -> Batch:
        """See `Collator`."""
        settings, table = self.settings, self.entities.vectors
        links_BT = self.entities.links(rows.tokens.shape, rows.mentions())
        draws = self.masked.draws(rows, rng)
        batch = self.masked.mask_rows(rows, draws, progress)
        if settings.upstream:
            change_BT = draw_links_of_batch(links_BT, draws, settings.replaced, settings.removed)
        else:
            change_BT = draw_links(links_BT, len(table), draws, settings.replaced, settings.removed)
        shown_BT = change_links(links_BT, change_BT)
        places = np.flatnonzero(links_BT >= 0)
        true_N = links_BT.ravel()[places]
        present_C = np.unique(true_N)
        if settings.upstream:
            present_C = np.append(-1, present_C)
        batch = attach(batch, VectorRows(shown_BT), table, others=VectorRows(true_N))
        assert batch.entity_rows is not None
        extra = {
            "linked": places,
            "truth": np.searchsorted(present_C, true_N),
            "candidates": np.searchsorted(batch.entity_rows.numpy(), present_C),
            "changed": np.flatnonzero(shown_BT.ravel()[places] != true_N),
        }
        return replace(batch, extra={name: tensor(values) for name, values in extra.items()})


class EntityLoss(HiddenCriterion):
    """dEA: the cross-entropy of a mention's true entity among all entities of the batch, at every linked position,
    whether or not the link was changed (Zhang et al. 2019, §3.4)."""

    terms = ("dea",)
    metrics = ("entity_accuracy", "changed_entity_accuracy")
    """Accuracy over all linked positions, and over those whose link was changed."""

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """The numbers of linked positions (twice) and of changed links."""
        linked, changed = len(batch.extra["linked"]), len(batch.extra["changed"])
        return {"dea": linked, "entity_accuracy": linked, "changed_entity_accuracy": changed}

    def positions(self, batch: Batch) -> tuple[Tensor, ...]:
        """The linked positions."""
        return (batch.extra["linked"],)

    def losses(self, model: EntityModel, hidden: tuple[Tensor, ...], batch: Batch) -> dict[str, Tensor]:
        """See `HiddenCriterion`."""
        (linked_ND,) = hidden
        right_N, loss = linked_ND.new_zeros(0), linked_ND.new_zeros(())
        truth_N, changed = batch.extra["truth"], batch.extra["changed"]
        if len(truth_N):
            scores_NC = self.scores(model, linked_ND, batch)
            loss = F.cross_entropy(scores_NC, truth_N)
            right_N = (scores_NC.detach().argmax(1) == truth_N).float()
        return {
            "dea": loss,
            "entity_accuracy": right_N.sum() / max(1, len(right_N)),
            "changed_entity_accuracy": right_N[changed].sum() / max(1, len(changed)),
        }

    def scores(self, model: EntityModel, linked_ND: Tensor, batch: Batch) -> Tensor:
        """Logits [N, C] of the batch's entities, from the hidden states at the linked positions."""
        vectors_ME = model.entity_vectors(batch)
        assert vectors_ME is not None
        return model.entity_scores(linked_ND, vectors_ME[batch.extra["candidates"]]).float()
