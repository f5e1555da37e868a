"""Muon updates the matrices of layers, AdamW all other weights; both states are checkpointed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from kepipe.data.batch import TokenRows
from kepipe.models.protocols import TrainableModel
from kepipe.training import muon
from kepipe.training.distributed import make_accelerator
from kepipe.training.muon import MuonWithAdamW
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
    """Simulates a killed process."""


def test_optimizer_settings_match_the_table() -> None:
    assert set(OPTIMIZERS) == set(get_args(OptimizerName))


def test_muon_gets_layer_matrices_and_adamw_the_rest() -> None:
    model = tiny(0.0)
    optimizer = OPTIMIZERS["muon"](model, settings(optimizer="muon", weight_decay=0.1))
    names = {id(weight): name for name, weight in model.named_parameters()}
    by_kind = {
        ("momentum" in group, group["weight_decay"]): {names[id(weight)] for weight in group["params"]}
        for group in optimizer.param_groups
    }
    matrices, tables, vectors = by_kind[True, 0.1], by_kind[False, 0.1], by_kind[False, 0.0]
    assert len(matrices) == 2 * 4
    assert all(".layers." in name and name.endswith("weight") for name in matrices)
    assert {"tokens.weight", "head.transform.dense.weight"} <= tables
    assert all("norm" in name or name.endswith("bias") for name in vectors)
    assert matrices | tables | vectors == set(names.values())


def test_muon_step_is_near_orthogonal_with_the_rms_of_adamw() -> None:
    model = tiny(0.0)
    optimizer = OPTIMIZERS["muon"](model, settings(optimizer="muon", weight_decay=0.0))
    weight = dict(model.named_parameters())["encoder.layers.0.mlp.part.up_proj.weight"]
    before = weight.detach().clone()
    generator = torch.Generator().manual_seed(0)
    directions = torch.randn(weight.shape[0], 32, generator=generator) * torch.logspace(0, -2, 32)
    weight.grad = directions
    set_rate(optimizer, 0.01)
    optimizer.step()
    step = (weight - before).detach()
    singular = torch.linalg.svdvals(step)
    assert float(singular.max() / singular.min()) < 4, "those of the gradient differ by far more"
    assert float(torch.linalg.svdvals(directions).max() / torch.linalg.svdvals(directions).min()) > 20
    assert float(step.square().mean().sqrt()) == pytest.approx(0.2 * 0.01, rel=0.3)


def _moved(
    optimizer: Callable[..., torch.optim.Optimizer], *, settings: dict[str, Any], steps: int = 3
) -> list[torch.Tensor]:
    """A tall, a wide and a square matrix after some updates."""
    generator = torch.Generator().manual_seed(0)
    shapes = ((24, 8), (8, 24), (16, 16))
    matrices = [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    mover = optimizer([{"params": matrices, "weight_decay": 0.1}], **settings)
    for _ in range(steps):
        for matrix in matrices:
            matrix.grad = torch.randn(matrix.shape, generator=generator)
        mover.step()
    return [matrix.detach() for matrix in matrices]


def test_muon_in_bf16_matches_torch_muon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(muon, "product_format", lambda _device: torch.bfloat16)
    ours = _moved(muon.Muon, settings={"rate": 0.02})
    theirs = _moved(torch.optim.Muon, settings={"lr": 0.02, "adjust_lr_fn": "match_rms_adamw"})
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("native", "expected"), [(True, torch.bfloat16), (False, torch.float32)], ids=["native", "emulated"]
)
def test_muon_uses_bf16_only_with_hardware_support(
    native: bool, expected: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(muon, "native_bfloat16", lambda _device: native)
    muon.product_format.cache_clear()
    try:
        made = muon.orthogonal(torch.randn(4, 6), (3.4445, -4.775, 2.0315), 5, 1e-7)
        assert made.dtype == expected
    finally:
        muon.product_format.cache_clear()


def test_muon_learning_rate_applies_to_both_optimizers_under_accelerate() -> None:
    """`prepare_optimizer` of accelerate loads the optimiser's state again."""
    model = tiny(0.0)
    optimizer = make_accelerator("fp32", "cpu").prepare_optimizer(
        OPTIMIZERS["muon"](model, settings(optimizer="muon", weight_decay=0.0))
    )
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    set_rate(optimizer, 0.0)
    optimizer.step()
    assert all(torch.equal(weight, before[name]) for name, weight in model.named_parameters())
    set_rate(optimizer, 0.1)
    optimizer.step()
    assert not any(torch.equal(weight, before[name]) for name, weight in model.named_parameters())
    assert all(
        "exp_avg" in optimizer.state[p] or "momentum_buffer" in optimizer.state[p] for p in model.parameters()
    )


def test_muon_training_learns_and_resumes_bit_identically(tmp_path: Path) -> None:
    with_muon = settings(
        steps=60, optimizer="muon", eval_every=30, accumulate=8, batch_ramp=0.6, batch_tokens=1024
    )
    held_out = held_out_loss(MASKING, lambda number: toy_rows(1_000 + number), 2)
    recorder, whole, again = EventRecorder(), tiny(), tiny()
    fit(whole, MASKING, toy_rows, with_muon, context_in(tmp_path / "whole", recorder), held_out)
    losses = recorder.metric("held_out_loss")
    assert losses[60] < 0.9 * losses[0]

    def stopping(number: int) -> TokenRows:
        if number > 60:  # while the batch grows
            raise Stop
        return toy_rows(number)

    with pytest.raises(Stop):
        fit(tiny(), MASKING, stopping, with_muon, context_in(tmp_path / "cut"), held_out)
    cut = EventRecorder()
    fit(again, MASKING, toy_rows, with_muon, context_in(tmp_path / "cut", cut), held_out)
    assert "continuing after step" in cut.notes()
    assert equal_weights(whole, again)


def test_muon_rejects_a_model_without_layers() -> None:
    class Bag(TrainableModel):
        def __init__(self) -> None:
            super().__init__()
            self.words = torch.nn.Embedding(10, 4)

    with pytest.raises(ValueError, match="optimizer: muon: this model has no layers"):
        MuonWithAdamW(Bag(), settings())
