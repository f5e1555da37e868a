"""An encoder with a task head."""

from __future__ import annotations

from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from kepipe.data.batch import Batch
from kepipe.finetuning.layer_depths import decayed_groups
from kepipe.models.protocols import FlexUse, LayerStates, ParameterGroup, TrainableEncoder, TrainableModel

EncoderT_co = TypeVar("EncoderT_co", bound=TrainableEncoder, covariant=True)


class TaskModel(TrainableModel, Generic[EncoderT_co]):
    """An encoder with a task's head. `mixture`: combines the hidden states of all layers for the head; None: the head
    reads the last layer. `layer_decay`: ratio of a layer's learning rate to that of the layer above."""

    def __init__(self, encoder: EncoderT_co, head: nn.Module, mixture: nn.Module | None = None) -> None:
        super().__init__()
        self.encoder, self.head, self.mixture = encoder, head, mixture
        self.layer_decay = 1.0

    def forward(self, batch: Batch) -> Tensor:
        """The output of the head, float32, such as logits [N, L] of a batch's cases."""
        return self.of_hidden(self.hidden(batch), batch)

    def of_hidden(self, hidden_BTD: Tensor, batch: Batch) -> Tensor:
        """The output of the head from hidden states, float32."""
        with torch.autocast(
            hidden_BTD.device.type, enabled=False
        ):  # 8 bits cannot hold features of small variance
            output: Tensor = self.head(hidden_BTD, batch)
        return output.float()

    def hidden(self, batch: Batch) -> Tensor:
        """The hidden states that the head reads, float32 [B, T, D]."""
        if self.mixture is None:
            return self.encoder.encode(batch).float()
        assert isinstance(self.encoder, LayerStates)
        mixed_BTD: Tensor = self.mixture(self.encoder.encode_layers(batch))
        return mixed_BTD.float()

    def own_parameters(self) -> dict[str, nn.Parameter]:
        """The weights of head and mixture, by the names under which they are saved."""
        own = dict(self.head.named_parameters())
        if self.mixture is not None:
            own |= {f"mixture.{name}": weight for name, weight in self.mixture.named_parameters()}
        return own

    def parameter_groups(self) -> list[ParameterGroup]:
        """See `TrainableModel`: the encoder's groups, and the head's."""
        head = [parameter for parameter in self.own_parameters().values() if parameter.requires_grad]
        groups = (
            self.encoder.parameter_groups()
            if self.layer_decay == 1.0
            else decayed_groups(self.encoder, self.layer_decay)
        )
        return [
            *groups,
            ParameterGroup([parameter for parameter in head if parameter.ndim >= 2], decays=True),
            ParameterGroup([parameter for parameter in head if parameter.ndim < 2], decays=False),
        ]

    def layer_modules(self) -> list[nn.Module]:
        """See `TrainableModel`."""
        return self.encoder.layer_modules()

    def partially_used_parameters(self) -> list[nn.Parameter]:
        """See `TrainableModel`."""
        return self.encoder.partially_used_parameters()

    def set_gradient_checkpointing(self, on: bool) -> None:
        """See `TrainableModel`."""
        self.encoder.set_gradient_checkpointing(on)

    def set_flex_attention(self, use: FlexUse) -> None:
        """See `TrainableModel`."""
        self.encoder.set_flex_attention(use)
