"""The LSTM agrees with torch's and with the equations of the paper; both directions respect row lengths."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from kepipe.models.networks.lstm import LSTM
from kepipe.nn.gather import reversed_positions
from tests.support.networks import LENGTHS, network, rows, single_row


def lstm(**settings: object) -> LSTM:
    made = network("lstm", **settings)
    assert isinstance(made, LSTM)
    return made


def cell_by_cell(x_TD: Tensor, layer: nn.LSTM) -> Tensor:
    """h_t = o ⊙ tanh(c_t), c_t = f ⊙ c_{t−1} + i ⊙ g, from zeros, gate by gate."""
    weights = dict(layer.named_parameters())
    h_D = c_D = torch.zeros(layer.hidden_size)
    states = []
    for x_D in x_TD:
        gates = (
            weights["weight_ih_l0"] @ x_D
            + weights["bias_ih_l0"]
            + weights["weight_hh_l0"] @ h_D
            + weights["bias_hh_l0"]
        )
        i_D, f_D, g_D, o_D = gates.chunk(4)
        c_D = f_D.sigmoid() * c_D + i_D.sigmoid() * g_D.tanh()
        h_D = o_D.sigmoid() * c_D.tanh()
        states.append(h_D)
    return torch.stack(states)


def test_states_agree_with_the_equations() -> None:
    model, batch = lstm(layers=2, bidirectional=True), rows()
    states_BTD = model.states(batch)
    for row, length in enumerate(LENGTHS):
        x_TD = model.tokens(batch.tokens[row, :length])
        for layer in model.layers:
            assert layer.leftward is not None
            right_TD = cell_by_cell(x_TD, layer.rightward)
            left_TD = cell_by_cell(x_TD.flip(0), layer.leftward).flip(0)
            x_TD = torch.cat([right_TD, left_TD], 1)
        torch.testing.assert_close(states_BTD[row, :length], x_TD)


def test_both_directions_agree_with_a_packed_bidirectional_lstm() -> None:
    model, batch = lstm(layers=2, bidirectional=True), rows()
    theirs = nn.LSTM(5, 4, 2, batch_first=True, bidirectional=True)
    with torch.no_grad():
        for number, layer in enumerate(model.layers):
            for suffix, ours in (("", layer.rightward), ("_reverse", layer.leftward)):
                assert ours is not None
                for name, weight in ours.named_parameters():
                    getattr(theirs, name.replace("l0", f"l{number}{suffix}")).copy_(weight)
    packed = pack_padded_sequence(
        model.tokens(batch.tokens), torch.tensor(LENGTHS), batch_first=True, enforce_sorted=False
    )
    out, (ends, _) = theirs(packed)
    expected_BTD = pad_packed_sequence(out, batch_first=True)[0]
    there_BT1 = (batch.documents > 0)[..., None]
    torch.testing.assert_close(model.states(batch) * there_BT1, expected_BTD)
    row_BD = model.encode(batch)[:, 0]  # [CLS] holds where both directions of the last layer end
    torch.testing.assert_close(row_BD, torch.cat([ends[2], ends[3]], 1))
    torch.testing.assert_close(model.encode(batch)[:, 1:], model.states(batch)[:, 1:])


def test_rows_are_reversed_within_their_lengths() -> None:
    there_BT = torch.tensor([[1, 1, 1, 0], [1, 0, 0, 0], [1, 1, 1, 1]]) > 0
    assert reversed_positions(there_BT).tolist() == [[2, 1, 0, 3], [0, 1, 2, 3], [3, 2, 1, 0]]


def test_reading_continues_from_the_state_of_each_row() -> None:
    model, batch = lstm(layers=2), rows()
    lengths_B = torch.tensor(LENGTHS)
    states_BTD, state = model.read(batch.tokens, lengths_B)
    more_BT = torch.tensor([[4, 5, 6]] * 3)
    on_BTD, _ = model.read(more_BT, None, state)
    for row, length in enumerate(LENGTHS):
        torch.testing.assert_close(states_BTD[row, :length], model.states(single_row(batch, row))[0])
        whole_BT = torch.cat([batch.tokens[row, :length], more_BT[row]])[None]
        torch.testing.assert_close(on_BTD[row], model.read(whole_BT)[0][0, length:])


def test_a_bidirectional_lstm_cannot_continue_a_text() -> None:
    with pytest.raises(ValueError, match="fills masks"):
        lstm(bidirectional=True).read(rows().tokens)


def test_forget_gates_have_an_initial_bias_of_one() -> None:
    """The bias of forget gates, the second of the four, is 1."""
    from dataclasses import replace

    fresh = LSTM(replace(lstm().config, layers=2)).initialise(0)
    for layer in fresh.layers:
        assert layer.rightward.bias_ih_l0.tolist() == [0.0] * 8 + [1.0] * 8 + [0.0] * 16
        assert not layer.rightward.bias_hh_l0.any()


def test_gradients_agree_with_finite_differences() -> None:
    model, batch = lstm(layers=2, bidirectional=True).double(), rows()
    names, weights = zip(*model.named_parameters(), strict=True)

    def states(*values: Tensor) -> Tensor:
        found: Tensor = torch.func.functional_call(model, dict(zip(names, values, strict=True)), (batch,))
        return found[batch.documents > 0]

    assert torch.autograd.gradcheck(states, weights, fast_mode=True)
