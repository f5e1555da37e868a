"""An LSTM over tokens, left to right as a language model, or bidirectional as an encoder."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from kepipe.data.batch import Batch
from kepipe.models.networks.lstm_config import LSTMConfig
from kepipe.models.networks.network import ReadingNetwork, State, tied_head
from kepipe.nn.gather import reversed_positions


class LSTMLayer(nn.Module):
    """One layer; the backward direction begins at the last token of each row, not at padding."""

    def __init__(self, width: int, hidden: int, *, bidirectional: bool) -> None:
        super().__init__()
        half = hidden // 2 if bidirectional else hidden
        self.rightward = nn.LSTM(width, half, batch_first=True)
        self.leftward = nn.LSTM(width, half, batch_first=True) if bidirectional else None

    def forward(self, x_BTD: Tensor, turned_BT: Tensor | None = None) -> Tensor:
        """[B, T, D] → [B, T, D]. `turned_BT`: see `turned`."""
        right_BTD: Tensor = self.rightward(x_BTD)[0]
        if self.leftward is None:
            return right_BTD
        assert turned_BT is not None
        left_BTD: Tensor = self.leftward(_turn(x_BTD, turned_BT))[0]
        return torch.cat([right_BTD, _turn(left_BTD, turned_BT)], 2)

    def read(
        self, x_BTD: Tensor, lengths_B: Tensor | None, state_2BD: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The outputs [B, T, D], and h and c, [B, D] each, after each row's last token, from an initial `state`."""
        before = None if state_2BD is None else tuple(part_BD[None].contiguous() for part_BD in state_2BD)
        length = x_BTD.shape[1]
        if lengths_B is None or bool((lengths_B == length).all()):  # packing is slow
            out_BTD, after = self.rightward(x_BTD, before)
        else:
            packed = pack_padded_sequence(x_BTD, lengths_B.cpu(), batch_first=True, enforce_sorted=False)
            out, after = self.rightward(packed, before)
            out_BTD = pad_packed_sequence(out, batch_first=True, total_length=length)[0]
        h_BD, c_BD = (part_1BD[0] for part_1BD in after)
        return out_BTD, (h_BD, c_BD)


class LSTM(ReadingNetwork):
    """Embeddings, layers, and dropout before each layer and after the last (Zaremba et al. 2014).

    As a bidirectional encoder, its state at the first token ([CLS]) is the final state of both directions: that of the
    forward one is at the row's last token.
    """

    config: LSTMConfig

    def __init__(self, config: LSTMConfig) -> None:
        super().__init__(config, tied_head(config))
        widths = [config.embedding, *[config.hidden] * (config.layers - 1)]
        layers = [LSTMLayer(width, config.hidden, bidirectional=config.bidirectional) for width in widths]
        self.layers: Sequence[LSTMLayer] = nn.ModuleList(layers)  # type: ignore[assignment]

    def states(self, batch: Batch, all_states: list[Tensor] | None = None) -> Tensor:
        """See `Network`."""
        turned_BT = reversed_positions(batch.documents > 0) if self.config.bidirectional else None
        x_BTD: Tensor = self.dropout(self.tokens(batch.tokens))
        for layer in self.layers:
            x_BTD = self.dropout(layer(x_BTD, turned_BT))
            if all_states is not None:
                all_states.append(x_BTD)
        return x_BTD

    def with_row_state(self, states_BTD: Tensor, batch: Batch) -> Tensor:
        """See `Network`."""
        if not self.config.bidirectional:
            return states_BTD
        half = self.config.hidden // 2
        rows_B = torch.arange(states_BTD.shape[0], device=states_BTD.device)
        ends_BD = states_BTD[rows_B, (batch.documents > 0).sum(1) - 1, :half]
        row_BD = torch.cat([ends_BD, states_BTD[:, 0, half:]], 1)
        return torch.cat([row_BD[:, None], states_BTD[:, 1:]], 1)

    def read(
        self, tokens_BT: Tensor, lengths_B: Tensor | None = None, state: State | None = None
    ) -> tuple[Tensor, State]:
        """See `ReadingNetwork`; the state is h and c of each layer. Raises ValueError for a bidirectional LSTM."""
        if self.config.bidirectional:
            raise ValueError("a bidirectional LSTM fills masks, and cannot continue a text")
        x_BTD: Tensor = self.dropout(self.tokens(tokens_BT))
        after: list[Tensor] = []
        for number, layer in enumerate(self.layers):
            before = None if state is None else (state[2 * number], state[2 * number + 1])
            x_BTD, ends = layer.read(x_BTD, lengths_B, before)
            x_BTD = self.dropout(x_BTD)
            after += ends
        return x_BTD, tuple(after)

    def layer_modules(self) -> list[nn.Module]:
        """See `TrainableModel`."""
        return [*self.layers]

    def draw(self, name: str, weight: Tensor, generator: torch.Generator) -> None:
        """As `Network`; the bias of forget gates is 1 (Jozefowicz et al. 2015)."""
        super().draw(name, weight, generator)
        if ".bias_ih" in name:
            weight[len(weight) // 4 : len(weight) // 2] = 1.0


def _turn(x_BTD: Tensor, turned_BT: Tensor) -> Tensor:
    return x_BTD.gather(1, turned_BT[..., None].expand_as(x_BTD))
