"""Convolutions computed by hand, and max-over-time pooling without padding."""

from __future__ import annotations

from dataclasses import replace

import torch

from kepipe.data.batch import Batch
from kepipe.models.networks.cnn import CNN
from tests.support.networks import LENGTHS, network, rows


def cnn(**settings: object) -> CNN:
    made = network("cnn", **settings)
    assert isinstance(made, CNN)
    return made


def test_cnn_filter_by_hand() -> None:
    """Embeddings of width 1: 1 2 −1 3; filters (1, 2, −1) + ½ of three tokens, and (1, −1) of two, to the right."""
    model = CNN(replace(cnn(embedding=1, hidden=2, widths=[3, 2]).config, vocabulary=4)).eval()
    with torch.no_grad():
        model.tokens.weight.copy_(torch.tensor([[1.0], [2.0], [-1.0], [3.0]]))
        three, two = model.layers[0].filters
        three.weight.copy_(torch.tensor([[[1.0, 2.0, -1.0]]]))
        three.bias.fill_(0.5)  # type: ignore[union-attr]
        two.weight.copy_(torch.tensor([[[1.0, -1.0]]]))
        two.bias.zero_()  # type: ignore[union-attr]
    batch = Batch(torch.tensor([[0, 1, 2, 3, 3]]), torch.tensor([[1, 1, 1, 1, 0]]))
    # 0 + 2·1 − 2, 1 + 2·2 + 1, 2 − 2 − 3, −1 + 6 − 0, each + ½; 1 − 2, 2 + 1, −1 − 3, 3 − 0; none below 0
    expected = [[0.5, 0.0], [6.5, 3.0], [0.0, 0.0], [5.5, 3.0]]
    assert model.states(batch)[0, :4].tolist() == expected
    assert model.encode(batch)[0, :4].tolist() == [[6.5, 3.0], *expected[1:]]  # [CLS]: the largest of each


def window_by_window(model: CNN, x_TD: torch.Tensor) -> torch.Tensor:
    """Each layer as sums of products over the window of each token."""
    for number, layer in enumerate(model.layers):
        columns = []
        for convolution in layer.filters:
            (width,) = convolution.kernel_size
            assert convolution.bias is not None
            for filter_DW, bias in zip(convolution.weight, convolution.bias, strict=True):
                column = []
                for place in range(len(x_TD)):
                    total = bias
                    for tap in range(width):
                        at = place + tap - (width - 1) // 2
                        if 0 <= at < len(x_TD):
                            total = total + filter_DW[:, tap] @ x_TD[at]
                    column.append(total.relu())
                columns.append(torch.stack(column))
        found_TD = torch.stack(columns, 1)
        x_TD = found_TD + x_TD if number else found_TD
    return x_TD


def test_cnn_layers_are_sums_of_products() -> None:
    model, batch = cnn(widths=[1, 2, 3, 4], layers=2), rows()
    states_BTD, read_BTD = model.states(batch), model.encode(batch)
    for row, length in enumerate(LENGTHS):
        expected_TD = window_by_window(model, model.tokens(batch.tokens[row, :length]))
        torch.testing.assert_close(states_BTD[row, :length], expected_TD)
        torch.testing.assert_close(read_BTD[row, 0], expected_TD.amax(0))


def test_cnn_padding_is_never_the_maximum() -> None:
    """With negative weights and a large bias, the output on padding would be the maximum."""
    model, batch = cnn(widths=[1]), rows()
    with torch.no_grad():
        model.layers[0].filters[0].weight.fill_(-1.0)
        model.layers[0].filters[0].bias.fill_(5.0)  # type: ignore[union-attr]
        model.tokens.weight.fill_(0.5)
    assert (model.encode(batch)[:, 0] == 2.5).all()


def test_gradients_agree_with_finite_differences() -> None:
    model, batch = cnn(widths=[2, 3], layers=2).double(), rows()
    names, weights = zip(*model.named_parameters(), strict=True)

    def states(*values: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = torch.func.functional_call(
            model, dict(zip(names, values, strict=True)), (batch,)
        )
        return found[batch.documents > 0]

    assert torch.autograd.gradcheck(states, weights, fast_mode=True)
