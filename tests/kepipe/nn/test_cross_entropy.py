"""The fused cross-entropy against torch's, over more rows than one block."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from kepipe.nn import cross_entropy
from kepipe.nn.cross_entropy import summed_cross_entropy


def example(rows: int, bias: bool) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
    torch.manual_seed(rows)
    x = torch.randn(rows, 8, requires_grad=True)
    weight = torch.randn(50, 8, requires_grad=True)
    return x, weight, torch.randn(50, requires_grad=True) if bias else None, torch.randint(0, 50, (rows,))


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [0, 1, 7, 23])
def test_fused_cross_entropy_equals_torch(rows: int, bias: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(cross_entropy.ROWS, "cpu", 7)
    monkeypatch.setitem(cross_entropy.STRIP, "cpu", 3)
    results = []
    for fused in (True, False):
        x, weight, b, labels = example(rows, bias)
        if fused:
            total = summed_cross_entropy(x, weight, b, labels)
        else:
            total = F.cross_entropy(F.linear(x, weight, b), labels, reduction="sum")
        (3.0 * total).backward()
        results.append([total, x.grad, weight.grad] + ([b.grad] if b is not None else []))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5)


def test_fused_cross_entropy_is_as_accurate_as_torch_under_autocast() -> None:
    x, weight, b, labels = example(200, True)
    truth = F.cross_entropy(F.linear(x, weight, b), labels, reduction="sum")
    (slope,) = torch.autograd.grad(truth, weight)
    with torch.autocast("cpu", torch.bfloat16):
        fused = summed_cross_entropy(x, weight, b, labels)
        plain = F.cross_entropy(F.linear(x, weight, b), labels, reduction="sum")
    errors = [
        (float((total - truth).detach().abs()), float((torch.autograd.grad(total, weight)[0] - slope).norm()))
        for total in (fused, plain)
    ]
    assert errors[0][0] < 1.5 * errors[1][0] + 0.01 * float(truth.detach())
    assert errors[0][1] < 1.5 * errors[1][1]
    assert fused.dtype == torch.float32


def test_cross_entropy_of_an_improbable_token_is_finite() -> None:
    x, weight = torch.tensor([[200.0]]), torch.tensor([[1.0], [-1.0]])
    assert 87 < float(summed_cross_entropy(x, weight, None, torch.tensor([1]))) < 104
    with torch.no_grad():
        assert float(summed_cross_entropy(x, weight, None, torch.tensor([0]))) == 0.0
