"""The linear layer of a head over a frozen encoder, trained on standardised features.

The scale of frozen features depends on family, layer and pooling: the means of a row's states may differ between rows
by hundredths only, from which no usual learning rate learns. Each feature is therefore standardised over the training
rows, as linear probing does with a BatchNorm without affine parameters (He et al. 2022, "Masked Autoencoders Are
Scalable Vision Learners", appendix A.1). After training, mean and deviation become part of weight and bias.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kepipe.finetuning.collator import TaskCollator
from kepipe.finetuning.evaluation import row_answers
from kepipe.finetuning.heads import LinearHead
from kepipe.finetuning.rows import Row
from kepipe.finetuning.task_model import TaskModel
from kepipe.models.protocols import TrainableEncoder

CONSTANT = 1e-4
"""A feature whose deviation is less than this part of the features' mean deviation is constant: it is centred only."""


class StandardisedLinear(nn.Linear):
    """W · (x − mean) / deviation + b. `mean`, `deviation`: [D] of the inputs x."""

    def __init__(self, linear: nn.Linear, mean: Tensor, deviation: Tensor) -> None:
        nn.Module.__init__(self)
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight, self.bias = linear.weight, linear.bias
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("deviation", deviation, persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        """Outputs [..., L] of inputs [..., D]."""
        standardised = (input - self.get_buffer("mean")) / self.get_buffer("deviation")
        return F.linear(standardised.to(input.dtype), self.weight, self.bias)

    @torch.no_grad()
    def plain(self) -> nn.Linear:
        """The linear layer with the same outputs."""
        linear = nn.Linear(self.in_features, self.out_features)
        weight = self.weight / self.get_buffer("deviation")
        linear.weight.copy_(weight)
        linear.bias.copy_(self.bias - weight @ self.get_buffer("mean"))
        return linear


def standardise(
    model: TaskModel[TrainableEncoder], collator: TaskCollator, rows: Sequence[Row], tokens: int
) -> None:
    """Replace the linear layer of a model's head by one that standardises its inputs over `rows`; a head of another
    kind stays as it is. `tokens`: the size of a batch."""
    if not isinstance(getattr(model.head, "dense", None), nn.Linear):
        return
    head = cast(LinearHead, model.head)
    count, total, squares = 0, torch.zeros(()), torch.zeros(())

    def observe(_module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        nonlocal count, total, squares
        features_ND = inputs[0].detach().flatten(0, -2).cpu().double()
        count += len(features_ND)
        total, squares = total + features_ND.sum(0), squares + features_ND.square().sum(0)

    hook = head.dense.register_forward_pre_hook(observe)
    model.eval()
    row_answers(model, collator, rows, tokens)
    hook.remove()
    mean = total / max(count, 1)
    deviation = (squares / max(count, 1) - mean.square()).clamp(min=0).sqrt()
    varies = deviation > CONSTANT * deviation.mean()
    deviation = torch.where(varies, deviation, torch.ones_like(deviation))
    device = head.dense.weight.device
    head.dense = StandardisedLinear(head.dense, mean.float().to(device), deviation.float().to(device))


def make_plain(model: TaskModel[TrainableEncoder]) -> None:
    """Replace the linear layer that `standardise` made by one without standardisation and with the same outputs."""
    dense = getattr(model.head, "dense", None)
    if isinstance(dense, StandardisedLinear):
        model.head.dense = dense.plain().to(dense.weight.device)
