"""The optimiser, and its learning rate."""

from __future__ import annotations

import torch

from kepipe.models.protocols import TrainableModel
from kepipe.training.settings import TrainingSettings


def adamw(model: TrainableModel, settings: TrainingSettings) -> torch.optim.AdamW:
    """AdamW (Loshchilov & Hutter 2019), the fused kernel, over the model's groups of parameters."""
    groups = [
        {"params": group.parameters, "weight_decay": settings.weight_decay if group.decays else 0.0}
        for group in model.parameter_groups()
        if group.parameters
    ]
    return torch.optim.AdamW(
        groups,
        lr=settings.learning_rate,
        betas=settings.betas,
        eps=settings.epsilon,
        fused=True,
    )


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Let the next update use `rate`."""
    for group in optimizer.param_groups:
        group["lr"] = rate
