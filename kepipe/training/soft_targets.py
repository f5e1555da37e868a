"""The losses of knowledge distillation: how far a student's probabilities, and the similarities of its hidden states,
are from its teacher's."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def divergence(logits_NV: Tensor, targets_NV: Tensor, temperature: float) -> Tensor:
    """Mean over N cases of T² · KL(targets ‖ softmax(logits / T)); 0 if there are none.

    `targets_NV`: the teacher's probabilities at the same temperature T. The factor T² keeps the size of gradients
    independent of it (Hinton et al. 2015, §2).
    """
    log_probabilities_NV = F.log_softmax(logits_NV.float() / temperature, dim=-1)
    summed = F.kl_div(log_probabilities_NV, targets_NV.float(), reduction="sum")
    return temperature**2 * summed / max(1, len(logits_NV))


def binary_divergence(logits_NL: Tensor, targets_NL: Tensor, temperature: float) -> Tensor:
    """`divergence` for labels that are independent of one another, summed over the labels of a case.

    `targets_NL`: the teacher's probability of each label at the same temperature.
    """
    scaled_NL, targets_NL = logits_NL.float() / temperature, targets_NL.float()
    entropy_NL = F.binary_cross_entropy(targets_NL, targets_NL, reduction="sum")
    summed = F.binary_cross_entropy_with_logits(scaled_NL, targets_NL, reduction="sum") - entropy_NL
    return temperature**2 * summed / max(1, len(logits_NL))


def similarity_difference(ours_ND: Tensor, theirs_ND: Tensor) -> Tensor:
    """Mean squared difference between the cosines of all N × N pairs of N vectors; 0 if there are none (Tung & Mori
    2019, eq. 4, with cosines). The widths D of student and teacher may differ."""
    if not len(ours_ND):
        return ours_ND.sum()
    return F.mse_loss(_cosines(ours_ND), _cosines(theirs_ND))


def _cosines(hidden_ND: Tensor) -> Tensor:
    """Cosines of all pairs, float [N, N]."""
    unit_ND = F.normalize(hidden_ND.float(), dim=-1)
    return unit_ND @ unit_ND.T
