"""The table of optimisers, and how their learning rate is set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from kepipe.models.protocols import TrainableModel
    from kepipe.training.settings import OptimizerName, TrainingSettings


def adamw(model: TrainableModel, settings: TrainingSettings) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019), the fused kernel, over the model's groups of parameters."""
    import torch

    groups = [
        {
            "params": group.parameters,
            "weight_decay": settings.weight_decay if group.decays else 0.0,
            "rate": group.rate,
        }
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


def muon(model: TrainableModel, settings: TrainingSettings) -> torch.optim.Optimizer:
    """Muon for the matrices of layers, AdamW for embeddings, heads, norms and biases (`kepipe.training.muon`)."""
    from kepipe.training.muon import MuonWithAdamW

    return MuonWithAdamW(model, settings)


OPTIMIZERS: Mapping[OptimizerName, Callable[[TrainableModel, TrainingSettings], torch.optim.Optimizer]] = {
    "adamw": adamw,
    "muon": muon,
}


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of the next update to `rate`, scaled by the group's own factor if it has one."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("rate", 1.0)
