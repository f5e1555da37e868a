"""Muon (Jordan et al. 2024): a matrix moves by its momentum with all singular values made about 1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from kepipe.models.protocols import TrainableModel
from kepipe.training.settings import TrainingSettings


class MuonWithAdamW(torch.optim.Optimizer):
    """`torch.optim.Muon` for the matrices of a model's layers, AdamW for all else, as one optimiser.

    Updates of matrices are scaled to the size of AdamW's (Liu et al. 2025, "Muon is Scalable for LLM Training",
    eq. 4), so that one learning rate and one decay serve both. Both keep their memory in this optimiser's `state`.
    """

    def __init__(self, model: TrainableModel, settings: TrainingSettings) -> None:
        in_layers = {id(weight) for layer in model.layer_modules() for weight in layer.parameters()}
        matrices: list[dict[str, Any]] = []
        others: list[dict[str, Any]] = []
        for group in model.parameter_groups():
            decay = settings.weight_decay if group.decays else 0.0
            ours = [weight for weight in group.parameters if id(weight) in in_layers and weight.ndim == 2]
            rest = [weight for weight in group.parameters if id(weight) not in in_layers or weight.ndim != 2]
            matrices += [{"params": ours, "weight_decay": decay}] if ours else []
            others += [{"params": rest, "weight_decay": decay}] if rest else []
        if not matrices:
            raise ValueError(
                "optimizer: muon: this model has no layers with matrices that learn; adamw serves it"
            )
        rate = settings.learning_rate
        self._parts: list[torch.optim.Optimizer] = [
            torch.optim.Muon(matrices, lr=rate, adjust_lr_fn="match_rms_adamw")
        ]
        if others:
            self._parts.append(
                torch.optim.AdamW(others, lr=rate, betas=settings.betas, eps=settings.epsilon, fused=True)
            )
        super().__init__([*matrices, *others], {})
        self.param_groups = [group for part in self._parts for group in part.param_groups]
        self._share()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take groups and memory over, as when another state is loaded."""
        super().__setstate__(state)
        self._share()

    def _share(self) -> None:
        """One list of groups and one memory: a rate that is set here is set there, and so is what a checkpoint
        brings."""
        groups = iter(self.param_groups)
        for part in self._parts:
            part.param_groups = [next(groups) for _ in part.param_groups]
            part.state = self.state

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of all weights that have a gradient."""
        assert closure is None, "the loop computes the loss itself"
        for part in self._parts:
            part.step()
