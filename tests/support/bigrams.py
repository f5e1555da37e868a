"""A language model that is not a transformer: a table of bigrams, whose training converges to the counts."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kepipe.data.batch import Batch
from kepipe.models.protocols import TrainableModel
from kepipe.training.criterion import Losses


class Bigrams(TrainableModel):
    """p(next | token) = softmax of the token's row, float [V, V]."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.rows = nn.Parameter(torch.zeros(vocabulary, vocabulary))

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits [N, V] of every next token, and these tokens, int [N]."""
        there_BT = batch.documents > 0
        pairs_BT = there_BT[:, 1:] & there_BT[:, :-1]
        return self.rows[batch.tokens[:, :-1][pairs_BT]], batch.tokens[:, 1:][pairs_BT]

    @torch.no_grad()
    def count(self, batches: Iterable[Batch]) -> None:
        """Replace the learned table by the logarithms of counted bigrams."""
        counts_VV = torch.full_like(self.rows, 1e-6)
        for batch in batches:
            there_BT = batch.documents > 0
            pairs_BT = there_BT[:, 1:] & there_BT[:, :-1]
            pairs = (batch.tokens[:, :-1][pairs_BT], batch.tokens[:, 1:][pairs_BT])
            counts_VV.index_put_(pairs, torch.ones(len(pairs[0])), accumulate=True)
        self.rows.copy_(counts_VV.log())


class NextToken:
    """The mean loss of the next token, and the accuracy of the most probable one."""

    terms = ("next",)
    metrics = ("accuracy",)

    def counts(self, batch: Batch) -> dict[str, int]:
        there_BT = batch.documents > 0
        pairs = int((there_BT[:, 1:] & there_BT[:, :-1]).sum())
        return {"next": pairs, "accuracy": pairs}

    def __call__(self, model: Bigrams, batch: Batch) -> Losses:
        logits_NV, next_N = model(batch)
        count = max(1, len(next_N))
        right_N = logits_NV.detach().argmax(1) == next_N
        return {
            "next": F.cross_entropy(logits_NV, next_N, reduction="sum") / count,
            "accuracy": right_N.sum() / count,
        }
