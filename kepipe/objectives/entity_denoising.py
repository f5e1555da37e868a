"""The denoising entity auto-encoder beside masked language modelling: some links are wrong or gone, and the model says
which entity each linked mention means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from kepipe.data.batch import Batch, TokenRows
from kepipe.models.entities import attach
from kepipe.noise.links import change_links, draw_links, draw_links_of_batch
from kepipe.objectives.losses import first_places, gather_hidden, next_sentence_loss, tensor, token_loss
from kepipe.objectives.masked_lm import MaskedLM

if TYPE_CHECKING:
    from kepipe.models.transformer import Transformer


@dataclass(frozen=True)
class DenoisingEntities:
    """Zhang et al. 2019, §3.4: total loss = MLM + NSP + dEA.

    dEA is the cross-entropy of the mention's true entity among the entities of the batch's rows, sorted, at every
    linked place, also where the link was changed. In `Batch.extra`, with N linked places and C entities: `linked`,
    int [N], flat places; `truth`, int [N], index of the true entity among the `candidates`; `candidates`, int [C],
    rows in the batch's entity vectors; `changed`, int [N'], those of the N whose link is wrong or gone.
    """

    masking: MaskedLM
    replaced: float
    removed: float
    weights: Mapping[str, float]
    upstream: bool = False
    terms: tuple[str, ...] = ("mlm", "nsp", "dea")
    measures: tuple[str, ...] = ("entity_accuracy", "changed_entity_accuracy")
    """Share of linked places at which the true entity scores highest; the same where the link was changed."""

    def corrupt(self, rows: TokenRows, rng: np.random.Generator, progress: float) -> Batch:
        """See `Objective.corrupt`. Raises ValueError for rows without a graph's vectors."""
        links_BT, table = rows.links, rows.vectors
        if links_BT is None or table is None:
            raise ValueError("ernie-tsinghua needs entity vectors: `inputs: {vectors: embed}`")
        draws = self.masking.draws(rows, rng)
        batch = self.masking.hide(rows, draws, progress)
        if self.upstream:
            change_BT = draw_links_of_batch(links_BT, draws, self.replaced, self.removed)
        else:
            change_BT = draw_links(links_BT, len(table), draws, self.replaced, self.removed)
        shown_BT = change_links(links_BT, change_BT)
        places = np.flatnonzero(links_BT >= 0)
        true_N = links_BT.ravel()[places]
        present_C = np.unique(true_N)
        if self.upstream:
            present_C = np.append(-1, present_C)
        batch = attach(batch, shown_BT, table, others=true_N)
        assert batch.entity_rows is not None
        extra = {
            "linked": places,
            "truth": np.searchsorted(present_C, true_N),
            "candidates": np.searchsorted(batch.entity_rows.numpy(), present_C),
            "changed": np.flatnonzero(shown_BT.ravel()[places] != true_N),
        }
        return replace(batch, extra={name: tensor(values) for name, values in extra.items()})

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """Hidden tokens, judged rows, linked places, changed links."""
        linked = len(batch.extra["linked"])
        return {
            **self.masking.counts(batch),
            "dea": linked,
            "entity_accuracy": linked,
            "changed_entity_accuracy": len(batch.extra["changed"]),
        }

    def loss(self, model: Transformer, batch: Batch) -> dict[str, Tensor]:
        """See `Objective.loss`."""
        hidden_ND, first_BD, linked_ND = gather_hidden(
            model, batch, batch.label_positions, first_places(batch), batch.extra["linked"]
        )
        losses = {"mlm": token_loss(model, hidden_ND, batch)}
        if batch.next_sentence_labels is not None:
            losses["nsp"] = next_sentence_loss(model, first_BD, batch)
        right_N = linked_ND.new_zeros(0)
        losses["dea"] = linked_ND.new_zeros(())
        truth_N, changed = batch.extra["truth"], batch.extra["changed"]
        if len(truth_N):
            scores_NC = self.scores(model, linked_ND, batch)
            losses["dea"] = F.cross_entropy(scores_NC, truth_N)
            right_N = (scores_NC.detach().argmax(1) == truth_N).float()
        told = {name: self.weights[name] * mean for name, mean in losses.items()}
        told["entity_accuracy"] = right_N.sum() / max(1, len(right_N))
        told["changed_entity_accuracy"] = right_N[changed].sum() / max(1, len(changed))
        return told

    def scores(self, model: Transformer, linked_ND: Tensor, batch: Batch) -> Tensor:
        """Logits [N, C] of the batch's entities, from the hidden states at the linked places."""
        vectors_ME = model.entity_vectors(batch)
        assert vectors_ME is not None
        return model.entity_scores(linked_ND, vectors_ME[batch.extra["candidates"]]).float()
