"""Low-rank adaptation (Hu et al. 2022, §4.1): W is frozen, and a low-rank update BA is learned. The merged weights
W + s·BA are saved, so a model folder does not depend on LoRA."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kepipe.finetuning.lora_settings import LoraSettings

if TYPE_CHECKING:
    from kepipe.models.protocols import TrainableEncoder


class LoraLinear(nn.Module):
    """W x + b + s · B A x. B is initialised to zero, so that the output is unchanged before training."""

    def __init__(self, linear: nn.Linear, settings: LoraSettings, generator: torch.Generator) -> None:
        super().__init__()
        self.base, self.scale = linear, settings.alpha / settings.rank
        drawn = torch.randn(settings.rank, linear.in_features, generator=generator)
        self.down = nn.Parameter(drawn / linear.in_features**0.5)
        self.up = nn.Parameter(torch.zeros(linear.out_features, settings.rank))

    @property
    def weight(self) -> Tensor:
        """W + s·BA, for code that reads the weights directly."""
        return self.base.weight + self.scale * self.up @ self.down

    @property
    def bias(self) -> Tensor | None:
        """b."""
        return self.base.bias

    def forward(self, x: Tensor) -> Tensor:
        """[…, in] → […, out]."""
        output: Tensor = self.base(x) + self.scale * F.linear(F.linear(x, self.down), self.up)
        return output


def add_lora(encoder: TrainableEncoder, settings: LoraSettings, seed: int) -> None:
    """Replace the linear layers by `LoraLinear`. Raises ValueError for a model without such layers."""
    generator = torch.Generator().manual_seed(seed)
    found = list(_linear_layers(encoder, settings))
    if not found:
        raise ValueError(
            "train: this model has no linear layers for `lora`; set `train: all` or `train: head`"
        )
    for parent, name, linear in found:
        setattr(parent, name, LoraLinear(linear, settings, generator))


def merge_lora(encoder: TrainableEncoder) -> None:
    """Merge the low-rank updates into the base weights and restore the plain linear layers."""
    for parent in list(encoder.modules()):
        for name, module in list(parent.named_children()):
            if isinstance(module, LoraLinear):
                with torch.no_grad():
                    module.base.weight.copy_(module.weight)
                setattr(parent, name, module.base)


def _linear_layers(
    encoder: TrainableEncoder, settings: LoraSettings
) -> Iterator[tuple[nn.Module, str, nn.Linear]]:
    from kepipe.nn.attention import CrossAttention, SelfAttention
    from kepipe.nn.relative_attention import RelativeAttention

    attention = (SelfAttention, CrossAttention, RelativeAttention)
    for layer in encoder.layer_modules():
        for parent in layer.modules():
            for name, module in parent.named_children():
                if type(module) is nn.Linear and (settings.layers == "all" or isinstance(parent, attention)):
                    yield parent, name, module
