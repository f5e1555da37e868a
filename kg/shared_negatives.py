"""Shared negatives for PyKEEN, with which an epoch on a CPU takes seconds.

PyKEEN's own loop draws negatives for each triple, and spends most time on fetching their vectors. Here entities are
drawn once per batch, and replace the tail and the head of each of its triples (Zheng et al. 2020, DGL-KE, section 3.3).
The distances of translations are then one matrix product.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from pykeen.nn.modules import TransEInteraction, parallel_unsqueeze
from pykeen.sampling import NegativeSampler
from pykeen.training import SLCWATrainingLoop
from torch import Tensor


class DrawnEntities(NegativeSampler):
    """Draws `num_negs_per_pos` entities for a whole batch, uniformly: int64 [M]."""

    def corrupt_batch(self, positive_batch: Tensor) -> Tensor:  # noqa: ARG002
        return torch.randint(self.num_entities, (self.num_negs_per_pos,))


class SharedNegativesLoop(SLCWATrainingLoop):
    """PyKEEN's loop over batches of B true triples and M drawn entities."""

    def _process_batch(
        self,
        batch: Any,
        start: int,
        stop: int,
        label_smoothing: float = 0.0,
        slice_size: int | None = None,  # noqa: ARG002
    ) -> Tensor:
        """The mean of two losses: predict the tail, and the head, among the drawn entities."""
        model: Any = self.model
        heads_B, relations_B, tails_B = batch["positives"][start:stop].to(model.device).T
        drawn_M = batch["negatives"].to(model.device)
        # Three look-ups for all vectors, since the gradient of each is as large as the table of entities.
        h, r, t = model._get_representations(
            h=torch.cat([heads_B, drawn_M]), r=relations_B, t=torch.cat([tails_B, drawn_M]), mode=None
        )
        (h, drawn_h), (t, drawn_t) = _split(h, len(heads_B)), _split(t, len(tails_B))
        score, rows = model.interaction, functools.partial(parallel_unsqueeze, dim=1)
        true_B1 = score(h, r, t).unsqueeze(1)
        total: Tensor = model.collect_regularization_term()
        for answer_B, drawn_BM in (
            (tails_B, score(rows(h), rows(r), parallel_unsqueeze(drawn_t, dim=0))),
            (heads_B, score(parallel_unsqueeze(drawn_h, dim=0), rows(r), rows(t))),
        ):
            # The answer itself may have been drawn.
            wrong_BM = drawn_BM.masked_fill(drawn_M == answer_B[:, None], -torch.inf)
            total = total + self.loss.process_slcwa_scores(true_B1, wrong_BM, label_smoothing) / 2
        return total


def _split(vectors: Any, first: int) -> tuple[Any, Any]:
    """The first rows and the others, of a table or of each of several tables."""
    if isinstance(vectors, Tensor):
        return vectors[:first], vectors[first:]
    return [table[:first] for table in vectors], [table[first:] for table in vectors]


class MatrixTransE(TransEInteraction):
    """TransE's score −‖h + r − t‖ₚ, as a matrix of distances if one end is shared by the batch."""

    def forward(self, h: Tensor, r: Tensor, t: Tensor) -> Tensor:
        """Scores [B] of h, r, t [B, D]; or [B, M] of two [B, 1, D] and one [1, M, D], as PyKEEN calls it."""
        if h.ndim == t.ndim == 3 and r.shape[1] == 1:
            if h.shape[1] == 1 and t.shape[0] == 1:
                return -torch.cdist((h + r)[:, 0], t[0], self.p)
            if t.shape[1] == 1 and h.shape[0] == 1:
                return -torch.cdist((t - r)[:, 0], h[0], self.p)
        return super().forward(h, r, t)
