"""The table of optimisers, and how their learning rate is set."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

    from kepipe.models.protocols import TrainableModel
    from kepipe.training.settings import OptimizerName, TrainingSettings


ACCUMULATED = 1 / 20**2
"""Initial sum of squared gradients of Adagrad: that of ELMo's released code, which is 1 for the loss times 20."""


def adamw(model: TrainableModel, settings: TrainingSettings) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019), the fused kernel, over the model's groups of parameters."""
    import torch

    return torch.optim.AdamW(
        _groups(model, settings),
        lr=settings.learning_rate,
        betas=settings.betas,
        eps=settings.epsilon,
        fused=True,
    )


def adafactor(model: TrainableModel, settings: TrainingSettings) -> torch.optim.Optimizer:
    """Adafactor (Shazeer & Stern 2018, algorithm 6) without momentum: steps are relative to the size of the weights,
    and clipped. Torch's ε₁ is the root of the paper's; no matrix is too small to be factored."""
    import torch

    return torch.optim.Adafactor(_groups(model, settings), lr=settings.learning_rate, eps=(1e-15, 1e-3))


def adagrad(model: TrainableModel, settings: TrainingSettings) -> torch.optim.Optimizer:
    """Adagrad (Duchi et al. 2011) with the initial state of ELMo's training."""
    import torch

    return torch.optim.Adagrad(
        _groups(model, settings), lr=settings.learning_rate, initial_accumulator_value=ACCUMULATED
    )


def _groups(model: TrainableModel, settings: TrainingSettings) -> list[dict[str, Any]]:
    """The model's groups of parameters, as torch's optimisers take them."""
    return [
        {
            "params": group.parameters,
            "weight_decay": settings.weight_decay if group.decays else 0.0,
            "rate": group.rate,
        }
        for group in model.parameter_groups()
        if group.parameters
    ]


def muon(model: TrainableModel, settings: TrainingSettings) -> torch.optim.Optimizer:
    """Muon for the matrices of layers, AdamW for embeddings, heads, norms and biases (`kepipe.training.muon`)."""
    from kepipe.training.muon import MuonWithAdamW

    return MuonWithAdamW(model, settings)


OPTIMIZERS: Mapping[OptimizerName, Callable[[TrainableModel, TrainingSettings], torch.optim.Optimizer]] = {
    "adamw": adamw,
    "muon": muon,
    "adafactor": adafactor,
    "adagrad": adagrad,
}


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the learning rate of the next update to `rate`, scaled by the group's own factor if it has one."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group.get("rate", 1.0)
