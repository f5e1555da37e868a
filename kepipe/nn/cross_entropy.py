"""Cross-entropy over a large vocabulary without materialising all logits.

The vocabulary layer and its loss are computed together in chunks of rows, and so are the gradients: given a row's
logits, the gradient is a single subtraction. (The idea is that of fused linear cross-entropy kernels, Hsu et al. 2024,
"Liger Kernel".)
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

ROWS = {"cpu": 2048}
"""Number of rows whose logits are materialised at a time: large enough to amortise the accumulation of the weight
gradient."""
STRIP = {"cpu": 64}
"""Number of rows whose probabilities are computed at a time, in fp32: small enough for the CPU caches."""
OTHERS = 4096
"""Both on other devices."""


def summed_cross_entropy(x_ND: Tensor, weight_VD: Tensor, bias_V: Tensor | None, labels_N: Tensor) -> Tensor:
    """Σₙ −log softmax(W xₙ + b)[labelₙ], a scalar in fp32; 0 if there are no rows.

    Under autocast, products are in its precision, as those of `F.linear` are; sums are in fp32. Probabilities are
    clamped to the smallest positive number.
    """
    kind = x_ND.device.type
    product = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else x_ND.dtype
    with torch.autocast(kind, enabled=False):
        total: Tensor = _SummedCrossEntropy.apply(x_ND, weight_VD, bias_V, labels_N, product)  # type: ignore[no-untyped-call]
    return total


class _SummedCrossEntropy(torch.autograd.Function):
    """∂L/∂logits = softmax − one-hot. The gradient is computed with the loss; the backward pass scales it."""

    @staticmethod
    def forward(
        ctx: Any,
        x_ND: Tensor,
        weight_VD: Tensor,
        bias_V: Tensor | None,
        labels_N: Tensor,
        product: torch.dtype,
    ) -> Tensor:
        """The loss; in training also the gradients."""
        learns = any(ctx.needs_input_grad)
        x, weight = x_ND.to(product), weight_VD.to(product)
        bias = None if bias_V is None else bias_V.to(product)
        total = torch.zeros((), device=x.device)
        dx, dweight = torch.empty_like(x), None
        dbias = torch.zeros_like(bias_V, dtype=torch.float32) if learns and bias_V is not None else None
        dweight_of_part = torch.empty_like(weight)
        rows = max(1, min(len(x), ROWS.get(x.device.type, OTHERS)))
        # All chunks share one buffer: allocating new pages of that size costs a CPU as much as the arithmetic.
        logits_RV = x.new_empty(rows, len(weight))
        shares_SV = x.new_empty(min(rows, STRIP.get(x.device.type, OTHERS)), len(weight), dtype=torch.float32)
        for x_CD, labels_C, dx_CD in zip(
            *(torch.split(tensor, rows) for tensor in (x, labels_N, dx)), strict=True
        ):
            logits_CV = logits_RV[: len(x_CD)]
            if bias is None:
                torch.mm(x_CD, weight.t(), out=logits_CV)
            else:
                torch.addmm(bias, x_CD, weight.t(), out=logits_CV)
            total += _to_gradient(logits_CV, labels_C, dbias, shares_SV)
            if not learns:
                continue
            torch.mm(logits_CV, weight, out=dx_CD)
            torch.mm(logits_CV.t(), x_CD, out=dweight_of_part)
            if dweight is None:
                dweight = dweight_of_part.to(torch.float32, copy=True)
            else:
                dweight += dweight_of_part
        if learns:
            if dweight is None:
                dweight = torch.zeros_like(weight_VD, dtype=torch.float32)
            ctx.save_for_backward(dx, dweight, dbias)
            ctx.kinds = x_ND.dtype, weight_VD.dtype
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        """The stored gradients times that of the loss."""
        (scale,) = gradients
        dx, dweight, dbias = ctx.saved_tensors
        of_x, of_weight = ctx.kinds
        return (
            (dx * scale).to(of_x),
            dweight.mul_(scale).to(of_weight),
            None if dbias is None else dbias.mul_(scale).to(of_weight),
            None,
            None,
        )


def _to_gradient(logits_CV: Tensor, labels_C: Tensor, dbias: Tensor | None, shares_SV: Tensor) -> Tensor:
    """Replace logits by their gradient in place, as many rows at a time as `shares_SV` has; returns the loss.

    The gradient's sum over the rows is added to `dbias`, [V].
    """
    loss = torch.zeros((), device=logits_CV.device)
    strip = len(shares_SV)
    for logits_SV, labels_S in zip(torch.split(logits_CV, strip), torch.split(labels_C, strip), strict=True):
        share_SV, label_S1 = shares_SV[: len(logits_SV)], labels_S[:, None]
        torch.softmax(logits_SV, -1, dtype=torch.float32, out=share_SV)
        chance_S1 = share_SV.gather(1, label_S1).clamp_min(torch.finfo(torch.float32).tiny)
        loss -= chance_S1.log().sum()
        logits_SV.copy_(share_SV.scatter_add_(1, label_S1, torch.full_like(chance_S1, -1.0)))
        if dbias is not None:
            dbias += share_SV.sum(0)
    return loss
