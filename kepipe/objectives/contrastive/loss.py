"""The contrastive loss of pooled vectors, and the metrics alignment and uniformity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from kepipe.data.batch import Batch
from kepipe.objectives.losses import HiddenCriterion
from kepipe.training.criterion import Losses


@dataclass(frozen=True)
class ContrastiveLoss(HiddenCriterion):
    """`contrastive`: cross-entropy of a first text's partner among all second texts of the batch, with logits cosine /
    τ (Gao et al. 2021, "SimCSE", equations 1 and 5). Second texts identical to the partner are excluded from the
    negatives.

    `accuracy`: how often the partner is the nearest. `alignment`: mean squared distance of partners; `uniformity`: ln
    of the mean of e^(−2 · squared distance) of first texts (Wang & Isola 2020, §4.1). For both, lower is better.
    """

    temperature: float

    @property
    def terms(self) -> tuple[str, ...]:
        """See `Criterion`."""
        return ("contrastive",)

    @property
    def metrics(self) -> tuple[str, ...]:
        """See `Criterion`."""
        return ("accuracy", "alignment", "uniformity")

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """See `Criterion`: the number of pairs; uniformity counts once per batch."""
        pairs = len(batch.extra["same"])
        return {"contrastive": pairs, "accuracy": pairs, "alignment": pairs, "uniformity": int(pairs > 1)}

    def positions(self, batch: Batch) -> tuple[Tensor, ...]:
        """See `HiddenCriterion`."""
        return (batch.extra["pooled_places"],)

    def losses(self, model: Any, hidden: tuple[Tensor, ...], batch: Batch) -> Losses:  # noqa: ARG002
        """See `HiddenCriterion`."""
        vectors_BD = F.normalize(pool(hidden[0], batch), dim=1)
        first_PD, *others = torch.tensor_split(vectors_BD, int(batch.host.extra["members"][-1]) + 1)
        loss, accuracy = contrastive_loss(first_PD, others, batch.extra["same"], self.temperature)
        return {
            "contrastive": loss,
            "accuracy": accuracy,
            "alignment": alignment(first_PD.detach(), others[0].detach()),
            "uniformity": uniformity(first_PD.detach()),
        }


def contrastive_loss(
    first_PD: Tensor, others: Sequence[Tensor], same_P: Tensor, temperature: float
) -> tuple[Tensor, Tensor]:
    """The terms `contrastive` and `accuracy` of `ContrastiveLoss`, of unit vectors.

    `others`: the second texts [P, D], and any number of groups of further negatives [N, D]. `same_P`: pairs with the
    same number have the same second text, so that it is no negative.
    """
    logits_PP = first_PD @ others[0].T / temperature
    own_P = torch.arange(len(first_PD), device=logits_PP.device)
    twin_PP = (same_P[:, None] == same_P) & (own_P[:, None] != own_P)
    columns = [logits_PP.masked_fill(twin_PP, -torch.inf)]
    columns += [first_PD @ negative_PD.T / temperature for negative_PD in others[1:]]
    logits_PC = torch.cat(columns, 1)
    accuracy = (logits_PC.detach().argmax(1) == own_P).float().mean()
    return F.cross_entropy(logits_PC, own_P), accuracy


def pool(hidden_ND: Tensor, batch: Batch) -> Tensor:
    """The mean hidden state of the pooled tokens of each row, float32 [B, D]."""
    rows_N, hidden_ND = batch.extra["pooled_rows"], hidden_ND.float()
    sums_BD = hidden_ND.new_zeros(len(batch.tokens), hidden_ND.shape[1]).index_add(0, rows_N, hidden_ND)
    counts_B = hidden_ND.new_zeros(len(batch.tokens)).index_add(0, rows_N, hidden_ND.new_ones(len(rows_N)))
    return sums_BD / counts_B.clamp(min=1)[:, None]


def alignment(first_PD: Tensor, second_PD: Tensor) -> Tensor:
    """Mean ‖x − y‖² over pairs of unit vectors (Wang & Isola 2020, equation 4 with α = 2)."""
    return (first_PD - second_PD).square().sum(1).mean()


def uniformity(vectors_ND: Tensor) -> Tensor:
    """ln of the mean of e^(−2 ‖x − y‖²) over pairs of different vectors (equation 5 with t = 2); 0 of a single one."""
    if len(vectors_ND) < 2:
        return vectors_ND.new_zeros(())
    return torch.pdist(vectors_ND).square().mul(-2).exp().mean().log()
