"""Bengio's model agrees with the equation and number of weights in the paper; its gradients are exact in float64."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kepipe.models.networks.nnlm import NNLM
from tests.support.networks import VOCABULARY, network, rows


def nnlm(**settings: object) -> NNLM:
    made = network("nnlm", **settings)
    assert isinstance(made, NNLM)
    return made


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("order", [2, 4])
def test_logits_agree_with_the_equation(order: int, direct: bool) -> None:
    """y = b + W x + U tanh(d + H x), eq. 1, token by token; a text is preceded by token 3."""
    model, batch = nnlm(order=order, direct=direct), rows()
    assert model.head.weight is not None
    u_VH, w_VX = model.head.weight[:, :8], model.head.weight[:, 8:]
    tokens = batch.tokens[0].tolist()
    for place in range(len(tokens)):
        context = [3] * order + tokens[: place + 1]
        x_X = torch.cat([model.tokens.weight[token] for token in context[-(order - 1) :]])
        y_V = model.head.bias + u_VH @ torch.tanh(model.hidden.bias + model.hidden.weight @ x_X)
        if direct:
            y_V = y_V + w_VX @ x_X
        torch.testing.assert_close(model.vocabulary(model(batch)[0, place]), y_V)
    assert w_VX.shape[1] == (order - 1) * 5 * direct


@pytest.mark.parametrize("direct", [True, False])
def test_the_number_of_weights_agrees_with_the_paper(direct: bool) -> None:
    """|V| (1 + n m + h) + h (1 + (n − 1) m), end of §2; without W, |V| (n − 1) m fewer."""
    n, m, h = 4, 5, 8
    expected = VOCABULARY * (1 + n * m + h) + h * (1 + (n - 1) * m) - (not direct) * VOCABULARY * (n - 1) * m
    assert sum(weight.numel() for weight in nnlm(order=n, direct=direct).parameters()) == expected


@pytest.mark.parametrize("direct", [True, False])
def test_gradients_agree_with_finite_differences(direct: bool) -> None:
    """For every weight, against finite differences of the loss in float64; the gradients of training are equal."""
    model, batch = nnlm(order=3, direct=direct).double(), rows()
    places_N, labels_N = torch.tensor([0, 1, 5, 12, 20]), torch.tensor([1, 22, 7, 7, 0])
    names, weights = zip(*model.named_parameters(), strict=True)

    class Loss(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self) -> Tensor:
            logits_NV = model.vocabulary(model(batch, places_N))
            return torch.nn.functional.cross_entropy(logits_NV, labels_N, reduction="sum")

    def loss(*values: Tensor) -> Tensor:
        given = {f"model.{name}": value for name, value in zip(names, values, strict=True)}
        found: Tensor = torch.func.functional_call(Loss(), given, ())
        return found

    assert torch.autograd.gradcheck(loss, weights)
    expected = torch.autograd.grad(loss(*weights), weights)
    trained = torch.autograd.grad(model.token_loss(model(batch, places_N), labels_N), weights)
    for name, ours, theirs in zip(names, trained, expected, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-6, msg=name)


def test_states_depend_only_on_the_last_tokens() -> None:
    model, batch = nnlm(order=3), rows()
    before_TD = model.states(batch)[0]
    batch.tokens[0, 4] = (batch.tokens[0, 4] + 1) % VOCABULARY
    changed_T = (model.states(batch)[0] - before_TD).abs().amax(1) > 0
    assert changed_T.nonzero().flatten().tolist() == [4, 5]
