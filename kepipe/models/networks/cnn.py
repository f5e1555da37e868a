"""Convolutions over the tokens of a row (Kim 2014, "Convolutional Neural Networks for Sentence Classification")."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kepipe.data.batch import Batch
from kepipe.models.networks.cnn_config import CNNConfig
from kepipe.models.networks.network import Network, tied_head


class ConvolutionLayer(nn.Module):
    """relu(W · window + b); the outputs of all filter widths, an equal number each, are concatenated."""

    def __init__(self, width_in: int, hidden: int, widths: tuple[int, ...]) -> None:
        super().__init__()
        filters = [nn.Conv1d(width_in, hidden // len(widths), width) for width in widths]
        self.filters: Sequence[nn.Conv1d] = nn.ModuleList(filters)  # type: ignore[assignment]

    def forward(self, x_BTD: Tensor, there_BT1: Tensor) -> Tensor:
        """[B, T, D] → [B, T, D]. A filter of an even width reaches one token farther to the right. Padding tokens count
        as zeros, so that a row's output does not depend on the length of its batch."""
        x_BDT = (x_BTD * there_BT1).transpose(1, 2)
        found = []
        for convolution in self.filters:
            (width,) = convolution.kernel_size
            found.append(convolution(F.pad(x_BDT, ((width - 1) // 2, width // 2))))
        return torch.cat(found, 1).transpose(1, 2).relu()


class CNN(Network):
    """Embeddings and layers, with residual connections from the second layer on.

    As an encoder, its state at the first token ([CLS]) is the maximum of each filter over the row's tokens without
    padding (Kim 2014, §2, max-over-time pooling).
    """

    config: CNNConfig

    def __init__(self, config: CNNConfig) -> None:
        super().__init__(config, tied_head(config))
        widths = [config.embedding, *[config.hidden] * (config.layers - 1)]
        self.layers = nn.ModuleList(ConvolutionLayer(width, config.hidden, config.widths) for width in widths)

    def states(self, batch: Batch, all_states: list[Tensor] | None = None) -> Tensor:
        """See `Network`."""
        there_BT1 = (batch.documents > 0).unsqueeze(-1)
        x_BTD: Tensor = self.dropout(self.tokens(batch.tokens))
        for number, layer in enumerate(self.layers):
            found_BTD = self.dropout(layer(x_BTD, there_BT1))
            x_BTD = found_BTD + x_BTD if number else found_BTD
            if all_states is not None:
                all_states.append(x_BTD)
        return x_BTD

    def with_row_state(self, states_BTD: Tensor, batch: Batch) -> Tensor:
        """See `Network`."""
        padding_BT1 = (batch.documents == 0).unsqueeze(-1)
        row_B1D = states_BTD.masked_fill(padding_BT1, float("-inf")).amax(1, keepdim=True)
        return torch.cat([row_B1D, states_BTD[:, 1:]], 1)

    def layer_modules(self) -> list[nn.Module]:
        """See `TrainableModel`."""
        return [*self.layers]
