"""An encoder with what a task puts on it."""

from __future__ import annotations

from typing import Generic, TypeVar

from torch import Tensor, nn

from kepipe.data.batch import Batch
from kepipe.models.protocols import ParameterGroup, TrainableEncoder, TrainableModel

EncoderT_co = TypeVar("EncoderT_co", bound=TrainableEncoder, covariant=True)


class TaskModel(TrainableModel, Generic[EncoderT_co]):
    """An encoder with a task's head."""

    def __init__(self, encoder: EncoderT_co, head: nn.Module) -> None:
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, batch: Batch) -> Tensor:
        """What the head says of a batch, float32, such as logits [N, L] of its cases."""
        read: Tensor = self.head(self.encoder.encode(batch), batch)
        return read.float()

    def parameter_groups(self) -> list[ParameterGroup]:
        """See `TrainableModel`: the encoder's groups, and the head's."""
        head = [parameter for parameter in self.head.parameters() if parameter.requires_grad]
        return [
            *self.encoder.parameter_groups(),
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

    def set_flex_attention(self, on: bool) -> None:
        """See `TrainableModel`."""
        self.encoder.set_flex_attention(on)
