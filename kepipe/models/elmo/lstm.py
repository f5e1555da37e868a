"""LSTMs with a projection of the output and both clips, in two directions that know nothing of each other.

Sak et al. 2014, equations 1-8, without peepholes; cell and output are clipped as in Jozefowicz et al. 2016. Weights lie
as in the published files: gates in the order input, candidate, forget, output; 1 is added to the forget gate's bias
when it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

FORGET_BIAS = 1.0
BOTH, FORWARD = slice(None), slice(0, 1)
"""Directions: from the left and from the right, and from the left alone."""


class States(NamedTuple):
    """What a layer keeps: `output`, [G, B, P]; `cell`, [G, B, C]."""

    output: Tensor
    cell: Tensor


class DirectedLSTM(nn.Module):
    """One layer in G = 2 directions at once. `cell`: width of the cells; `hidden`: of input and output (P), which is
    projected where it differs from `cell`. A clip of 0 does not clip."""

    def __init__(self, hidden: int, cell: int, cell_clip: float, projection_clip: float) -> None:
        super().__init__()
        self.cell, self.cell_clip, self.projection_clip = cell, cell_clip, projection_clip
        self.kernel = nn.Parameter(torch.empty(2, 2 * hidden, 4 * cell))
        self.bias = nn.Parameter(torch.zeros(2, 4 * cell))
        self.projection = nn.Parameter(torch.empty(2, cell, hidden)) if cell != hidden else None

    def forward(
        self,
        inputs_GBTP: Tensor,
        is_word_GBT: Tensor | None,
        starts_document_GBT: Tensor | None,
        before: States | None,
        directions: slice = BOTH,
    ) -> tuple[Tensor, States]:
        """Outputs [G, B, T, P], 0 on padding, and the states after each row's last word.

        `is_word_GBT`: bool, false on padding (None: no padding). `starts_document_GBT`: bool, whether the states are
        reset before a word (None: nowhere). `before`: the states with which rows begin; None: zeros. `directions`:
        those whose inputs these are.
        """
        groups, rows, length, hidden = inputs_GBTP.shape
        from_input_GPC, from_output_GPC = torch.split(self.kernel[directions], hidden, 1)
        bias_G11C = self.bias[directions, None, None]
        gates_GBTC = torch.einsum("gbtp,gpc->gbtc", inputs_GBTP, from_input_GPC) + bias_G11C
        output, cell = before or States(
            inputs_GBTP.new_zeros(groups, rows, hidden), inputs_GBTP.new_zeros(groups, rows, self.cell)
        )
        projection = None if self.projection is None else self.projection[directions]
        outputs = []
        for place in range(length):
            if starts_document_GBT is not None:
                kept_GB1 = (~starts_document_GBT[:, :, place, None]).to(output.dtype)
                output, cell = output * kept_GB1, cell * kept_GB1
            summed_GBC = gates_GBTC[:, :, place] + torch.bmm(output, from_output_GPC)
            next_output, next_cell = self._step(summed_GBC, cell, projection)
            if is_word_GBT is None:
                output, cell = next_output, next_cell
                outputs.append(output)
                continue
            is_word_GB1 = is_word_GBT[:, :, place, None]
            outputs.append(next_output * is_word_GB1)
            output = torch.where(is_word_GB1, next_output, output)
            cell = torch.where(is_word_GB1, next_cell, cell)
        return torch.stack(outputs, 2), States(output, cell)

    def _step(
        self, gates_GBC: Tensor, cell_GBC: Tensor, projection_GCP: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Output and cell of a word, from the sums that enter the gates and the cell of the word before."""
        enter, candidate, forget, leave = gates_GBC.chunk(4, -1)
        cell_GBC = torch.sigmoid(forget + FORGET_BIAS) * cell_GBC + torch.sigmoid(enter) * torch.tanh(
            candidate
        )
        if self.cell_clip:
            cell_GBC = cell_GBC.clamp(-self.cell_clip, self.cell_clip)
        output_GBP = torch.sigmoid(leave) * torch.tanh(cell_GBC)
        if projection_GCP is not None:
            output_GBP = torch.bmm(output_GBP, projection_GCP)
            if self.projection_clip:
                output_GBP = output_GBP.clamp(-self.projection_clip, self.projection_clip)
        return output_GBP, cell_GBC


class LSTMStack(nn.Module):
    """Layers one above the other; from the second on, each adds what it reads to what it says (`skip`)."""

    def __init__(
        self,
        layers: int,
        sizes: tuple[int, int],
        clips: tuple[float, float],
        *,
        skip: bool,
        dropout: float,
    ) -> None:
        """`sizes`: hidden, cell; `clips`: of the cell and of the projected output."""
        super().__init__()
        self.layers = nn.ModuleList(DirectedLSTM(*sizes, *clips) for _ in range(layers))
        self.skip, self.dropout = skip, nn.Dropout(dropout)

    def forward(
        self,
        inputs_GBTP: Tensor,
        is_word_GBT: Tensor | None,
        starts_document_GBT: Tensor | None,
        before: Sequence[States] = (),
        directions: slice = BOTH,
    ) -> tuple[list[Tensor], list[States]]:
        """Each layer's outputs [G, B, T, P], and its states after each row's last word (see `DirectedLSTM`)."""
        outputs: list[Tensor] = []
        states: list[States] = []
        for number, layer in enumerate(self.layers):
            begun = before[number] if before else None
            output_GBTP, after = layer(
                self.dropout(inputs_GBTP), is_word_GBT, starts_document_GBT, begun, directions
            )
            inputs_GBTP = output_GBTP + inputs_GBTP if self.skip and number else output_GBTP
            outputs.append(inputs_GBTP)
            states.append(after)
        return outputs, states
