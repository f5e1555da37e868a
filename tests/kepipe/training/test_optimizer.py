"""Adafactor and Adagrad: the updates of the publications that use them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from kepipe.data.batch import TokenRows
from kepipe.training.optimizer import OPTIMIZERS, set_rate
from kepipe.training.settings import OptimizerName
from tests.support.toy_training import (
    MASKING,
    EventRecorder,
    context_in,
    equal_weights,
    fit,
    held_out_loss,
    settings,
    tiny,
    toy_rows,
)


class Stop(Exception):
    """What interrupts the training."""


def updated(name: OptimizerName, rates: tuple[float, ...]) -> list[tuple[Tensor, list[Tensor], Tensor]]:
    """Weights before, gradients of updates with these rates, and weights after."""
    model = tiny()
    optimizer = OPTIMIZERS[name](model, settings(optimizer=name, weight_decay=0.0))
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    before = [weight.detach().clone() for weight in weights]
    generator = torch.Generator().manual_seed(0)
    gradients: list[list[Tensor]] = [[] for _ in weights]
    for rate in rates:
        for weight, its in zip(weights, gradients, strict=True):
            its.append(0.01 * torch.randn(weight.shape, generator=generator))
            weight.grad = its[-1].clone()
        set_rate(optimizer, rate)
        optimizer.step()
    return list(zip(before, gradients, (weight.detach() for weight in weights), strict=True))


def test_adagrad_is_that_of_elmo() -> None:
    """Released code: the loss is multiplied by 20, and accumulators begin at 1."""
    for before, gradients, after in updated("adagrad", (0.2, 0.2, 0.2)):
        expected, accumulator = before.clone(), torch.ones_like(before)
        for gradient in gradients:
            scaled = 20 * gradient
            accumulator += scaled**2
            expected -= 0.2 * scaled / accumulator.sqrt()
        torch.testing.assert_close(after, expected, rtol=1e-4, atol=1e-6)


def test_adafactor_is_that_of_the_paper() -> None:
    """Shazeer & Stern 2018, algorithms 4 to 6: β₂ = 1 − t^−0.8, ε₁ = 1e-30, ε₂ = 1e-3, d = 1."""
    for before, gradients, after in updated("adafactor", (0.01, 0.005)):
        expected = before.clone()
        rows, columns, squares = (torch.zeros(()) for _ in range(3))
        for t, (rate, gradient) in enumerate(zip((0.01, 0.005), gradients, strict=True), 1):
            beta, square = 1 - t**-0.8, gradient**2 + 1e-30
            if gradient.ndim > 1:
                rows = beta * rows + (1 - beta) * square.sum(-1, keepdim=True)
                columns = beta * columns + (1 - beta) * square.sum(-2, keepdim=True)
                squares = rows * columns / rows.sum(-2, keepdim=True)
            else:
                squares = beta * squares + (1 - beta) * square
            update = gradient / squares.sqrt()
            size = max(1e-3, float(expected.square().mean().sqrt()))
            expected -= rate * size * update / max(1.0, float(update.square().mean().sqrt()))
        torch.testing.assert_close(after, expected, rtol=1e-4, atol=1e-6)


def test_adafactor_leaves_weights_without_gradient() -> None:
    """Rows of tokens that a batch does not have: no division of zero by zero."""
    model = tiny()
    optimizer = OPTIMIZERS["adafactor"](model, settings(optimizer="adafactor"))
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    assert all(weight.isfinite().all() for weight in model.parameters())


@pytest.mark.parametrize(("name", "rate"), [("adafactor", 0.1), ("adagrad", 0.05)])
def test_training_learns_and_resumes_bit_identically(
    tmp_path: Path, name: OptimizerName, rate: float
) -> None:
    chosen = settings(steps=40, optimizer=name, learning_rate=rate, eval_every=20)
    held_out = held_out_loss(MASKING, lambda number: toy_rows(1_000 + number), 2)
    recorder, whole, again = EventRecorder(), tiny(), tiny()
    fit(whole, MASKING, toy_rows, chosen, context_in(tmp_path / "whole", recorder), held_out)
    losses = recorder.metric("held_out_loss")
    assert losses[40] < 0.9 * losses[0]

    def stopping(number: int) -> TokenRows:
        if number > 25:
            raise Stop
        return toy_rows(number)

    with pytest.raises(Stop):
        fit(tiny(), MASKING, stopping, chosen, context_in(tmp_path / "cut"), held_out)
    cut = EventRecorder()
    fit(again, MASKING, toy_rows, chosen, context_in(tmp_path / "cut", cut), held_out)
    assert "continuing after step" in cut.notes()
    assert equal_weights(whole, again)
