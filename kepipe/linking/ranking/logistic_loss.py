"""The logistic loss of a ranker's weights and its gradient, on the CPU or on a GPU."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from kepipe.arrays import Bools, Floats

if TYPE_CHECKING:
    from torch import Tensor

LossAndGradient = Callable[[Floats], tuple[float, Floats]]
"""(weights [F + 1], the bias last) → Σ importance · ln(1 + exp(−margin)) over the candidates, and its gradient."""


def logistic_loss(features: Floats, right: Bools, importance: Floats, device: str) -> LossAndGradient:
    """The loss of features [P, F], labels [P] and sample weights [P], computed on `device`, in double precision; on
    the CPU where the device has none (Apple's GPUs)."""
    sign = np.where(right, 1.0, -1.0)
    if device.partition(":")[0] in ("cpu", "mps"):
        return NumpyLoss(features, sign, importance)
    return TorchLoss.of(features, sign, importance, device)


@dataclass(frozen=True)
class NumpyLoss:
    """By NumPy. `sign`: 1 for right candidates, −1 for wrong ones, [P]."""

    features: Floats
    sign: Floats
    importance: Floats

    def __call__(self, weights: Floats) -> tuple[float, Floats]:
        """See `LossAndGradient`."""
        margin = self.sign * (self.features @ weights[:-1] + weights[-1])
        value = self.importance @ np.logaddexp(0.0, -margin)
        slope = -self.sign * self.importance / (1.0 + np.exp(np.clip(margin, -500.0, 500.0)))
        return float(value), np.append(slope @ self.features, slope.sum())


@dataclass(frozen=True)
class TorchLoss:
    """By torch, of features [P, F], signs and importances [P] that are on the device: for each step F + 1 weights go
    there and F + 2 numbers come back."""

    features: Tensor
    sign: Tensor
    importance: Tensor

    @classmethod
    def of(cls, features: Floats, sign: Floats, importance: Floats, device: str) -> TorchLoss:
        """The loss of arrays that are copied to a device."""
        import torch

        return cls(*(torch.from_numpy(each).double().to(device) for each in (features, sign, importance)))

    def __call__(self, weights: Floats) -> tuple[float, Floats]:
        """See `LossAndGradient`."""
        import torch

        found: Floats = self.value_and_gradient(torch.from_numpy(weights).to(self.sign.device)).cpu().numpy()
        return float(found[0]), found[1:]

    def value_and_gradient(self, weights_F: Tensor) -> Tensor:
        """The loss, followed by its gradient: [F + 2]."""
        import torch

        margin_P = self.sign * (self.features @ weights_F[:-1] + weights_F[-1])
        value = self.importance @ torch.logaddexp(torch.zeros_like(margin_P), -margin_P)
        slope_P = -self.sign * self.importance * torch.sigmoid(-margin_P)
        return torch.cat([value[None], slope_P @ self.features, slope_P.sum()[None]])
