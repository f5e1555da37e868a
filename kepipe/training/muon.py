"""Muon (Jordan et al. 2024): a matrix is updated by its momentum, orthogonalised (all singular values about 1)."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor

from kepipe.device import native_bfloat16
from kepipe.models.protocols import TrainableModel
from kepipe.training.settings import TrainingSettings

ADAMW_RMS = 0.2
"""Typical root mean square of AdamW's updates at learning rate 1 (Liu et al. 2025, section 2.2)."""


class Muon(torch.optim.Muon):
    """`torch.optim.Muon` with matrix products in the device's fastest number format.

    torch's own uses bf16 everywhere, which is a hundred times slower than fp32 on processors without bf16. Learning
    rates are on AdamW's scale (torch's `match_rms_adamw`).
    """

    def __init__(self, groups: list[dict[str, Any]], rate: float) -> None:
        super().__init__(groups, lr=rate, adjust_lr_fn="match_rms_adamw")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update of all matrices that have a gradient."""
        assert closure is None, "the loop computes the loss itself"
        for group in self.param_groups:
            keep = group["momentum"]
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(matrix.grad)
                momentum = state["momentum_buffer"].lerp_(matrix.grad, 1 - keep)
                update = orthogonal(
                    matrix.grad.lerp(momentum, keep) if group["nesterov"] else momentum,
                    group["ns_coefficients"],
                    group["ns_steps"],
                    group["eps"],
                )
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(update, alpha=-group["lr"] * ADAMW_RMS * max(matrix.shape) ** 0.5)


def orthogonal(
    matrix_NM: Tensor, coefficients: tuple[float, float, float], steps: int, epsilon: float
) -> Tensor:
    """The orthogonalised matrix, its singular values between 0.7 and 1.2, in the format of `product_format`, by the
    quintic Newton-Schulz iteration of Jordan et al. (2024).
    """
    a, b, c = coefficients
    wide = matrix_NM.to(product_format(matrix_NM.device.type))
    tall = wide.shape[0] > wide.shape[1]
    wide = wide.T if tall else wide
    wide = wide / wide.norm().clamp(min=epsilon)
    for _ in range(steps):
        gram = wide @ wide.T
        wide = torch.addmm(wide, torch.addmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return wide.T if tall else wide


@cache
def product_format(device: str) -> torch.dtype:
    """The device's fastest number format for matrix products, of those known to work with Muon."""
    return torch.bfloat16 if native_bfloat16(device) else torch.float32


class MuonWithAdamW(torch.optim.Optimizer):
    """`Muon` for the matrices of a model's layers and AdamW for all other weights, as one optimiser.

    Updates of matrices are scaled to the size of AdamW's (Liu et al. 2025, "Muon is Scalable for LLM Training",
    eq. 4), so that one learning rate and one weight decay serve both. Both keep their state in this one's `state`.
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
            raise ValueError("optimizer: muon: this model has no layers with trainable matrices; use adamw")
        rate = settings.learning_rate
        self._parts: list[torch.optim.Optimizer] = [Muon(matrices, rate)]
        if others:
            self._parts.append(
                torch.optim.AdamW(others, lr=rate, betas=settings.betas, eps=settings.epsilon, fused=True)
            )
        super().__init__([*matrices, *others], {})
        self.param_groups = [group for part in self._parts for group in part.param_groups]
        self._share()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Share groups and state with the parts again after loading."""
        super().__setstate__(state)
        self._share()

    def _share(self) -> None:
        """Let both parts use this optimiser's groups and state, so that a learning rate or a loaded checkpoint applies
        to them."""
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
