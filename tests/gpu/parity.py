"""The same numbers on the device as on the CPU: families, objectives, masks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy

import torch
from torch import Tensor, nn

from kepipe.device import native_bfloat16
from kepipe.models.protocols import TrainableModel
from kepipe.nn.attention import attend, build_mask, has_varlen
from kepipe.nn.visibility import Visibility, by_name
from kepipe.training.carried_states import CarriedStates
from kepipe.training.distributed import make_accelerator, parallelize
from kepipe.training.loop import update
from kepipe.training.microbatches import MicroBatch
from tests.gpu import cases
from tests.gpu.check import Check, Figures, NotHere, Setting
from tests.gpu.descriptors import branches, packed
from tests.support.toy_training import settings

FORMATS = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
LOSS = {"fp32": 1e-4, "bf16": 2e-2, "fp16": 5e-3}
"""Largest relative error of a loss."""
GRADIENT = {"fp32": 1e-3, "bf16": 0.1, "fp16": 0.03}
"""Largest error of the whole gradient, in its norm, as a share of the norm."""

RECURRENT = ("lstm", "elmo")


def length(setting: Setting) -> int:
    return 24 if setting.tiny else 128


def hidden(setting: Setting) -> int:
    return 48 if setting.tiny else 384


def losses_and_gradient(model: nn.Module, case: cases.Case, device: str, kind: str) -> tuple[float, Tensor]:
    """The sum of the terms, and the gradient of all weights in one column on the CPU.

    Losses are multiplied by 128 on the way back, as a gradient scaler does for fp16.
    """
    model, criterion = model.to(device).eval(), case.objective.criterion
    batch = CarriedStates().attach(case.batch().to(device))
    working: AbstractContextManager[object] = nullcontext()
    if kind != "fp32":
        working = torch.autocast(torch.device(device).type, FORMATS[kind])
    with working:
        means = criterion(model, batch)  # type: ignore[arg-type]
        loss = torch.stack([means[name].float() for name in criterion.terms if name in means]).sum()
    (128 * loss).backward()
    parts = [
        torch.zeros_like(p) if p.grad is None else p.grad.to_dense() / 128
        for _, p in sorted(model.named_parameters())
    ]
    return float(loss.detach()), torch.cat([part.float().flatten().cpu() for part in parts])


def has_lstm(kind: str, device: str) -> bool:
    """Whether torch has an LSTM in this number format: on a CPU not in fp16, and in bf16 where it is native."""
    return device != "cpu" or kind == "fp32" or (kind == "bf16" and native_bfloat16(device))


def families_in(kind: str) -> Callable[[Setting], Figures]:
    """A check of all families in a number format; the CPU computes in fp32."""

    def run(setting: Setting) -> Figures:
        make_accelerator("fp32", setting.device)  # which sets that fp32 is not rounded
        figures, wrong = Figures(), list[str]()
        for case in cases.families(length(setting)):
            if case.family in RECURRENT and not has_lstm(kind, setting.device):
                figures[case.name] = f"torch has no LSTM in {kind} on this processor"
                continue
            model = case.model(hidden(setting))
            expected, gradient = losses_and_gradient(deepcopy(model), case, "cpu", "fp32")
            loss, found = losses_and_gradient(model, case, setting.device, kind)
            errors = (abs(loss / expected - 1), float((found - gradient).norm() / gradient.norm()))
            figures[case.name] = errors[1]
            if not (errors[0] <= LOSS[kind] and errors[1] <= GRADIENT[kind]):
                wrong.append(f"{case.name}: loss off by {errors[0]:.1e}, gradient by {errors[1]:.1e}")
        assert not wrong, "; ".join(wrong)
        return figures

    return run


def two_updates(case: cases.Case, model: TrainableModel, setting: Setting, device: str) -> list[float]:
    """The loss of each of two updates, as the loop makes them."""
    accelerator = make_accelerator("fp32", device)
    folder = setting.folder / "updates"
    _, loss_module, optimizer = parallelize(accelerator, model, settings(), folder)
    criterion, carried, losses = case.objective.criterion, CarriedStates(), list[float]()
    for number in range(2):
        batch = case.batch(number)
        part = MicroBatch(batch, criterion.counts(batch), 1, number)
        sums, _ = update(accelerator, loss_module, optimizer, criterion, [part], carried, 1.0)
        losses.append(sum(float(sums[name]) / part.counts[name] for name in criterion.terms if name in sums))
    return losses


def steps_of_objectives(setting: Setting) -> Figures:
    figures, wrong = Figures(), list[str]()
    for case in cases.objectives(length(setting)):
        model = case.model(hidden(setting))
        expected = two_updates(case, deepcopy(model), setting, "cpu")
        found = two_updates(case, model, setting, setting.device)
        error = max(abs(one / other - 1) for one, other in zip(found, expected, strict=True))
        figures[case.name] = error
        if not error <= 1e-3:
            wrong.append(f"{case.name}: {found} on the device, {expected} on the CPU")
    assert not wrong, "; ".join(wrong)
    return figures


def masks(setting: Setting) -> Figures:
    """Attention by FlexAttention's blocks beside dense masks, at two lengths one after the other, and its gradient
    where the device has one."""
    make_accelerator("fp32", setting.device)
    figures = Figures()
    for tokens in (48, 80) if setting.tiny else (512, 1024):
        documents_BT = packed(2, tokens).to(setting.device)
        branch_BT, mention_BT = (each.to(setting.device) for each in branches(2, tokens))
        prefix_BT = (torch.arange(tokens, device=setting.device) < tokens // 3).long().expand(2, -1)
        sights = {
            "documents": by_name("full", documents_BT),
            "causal documents": by_name("causal", documents_BT),
            "prefix": by_name("prefix", prefix_BT=prefix_BT),
            "tree": by_name("full", documents_BT, branch_BT=branch_BT, mention_BT=mention_BT),
        }
        for name, sight in sights.items():
            error = worst(sight, tokens, setting)
            figures[f"{name}, {tokens}"] = error
            assert error < 1e-3, f"{name} at {tokens} tokens: off by {error:.1e}"
    return figures


def worst(sight: Visibility, tokens: int, setting: Setting) -> float:
    """Largest difference of the outputs, and of the gradients if there are any."""
    generator = torch.Generator().manual_seed(tokens)
    drawn = [torch.randn(2, tokens, 2, 32, generator=generator) for _ in range(4)]
    q, k, v, weights = (each.to(setting.device) for each in drawn)
    results = []
    for flex in (False, True):
        mask = build_mask(
            sight,
            (2, tokens, tokens),
            device=q.device,
            dtype=q.dtype,
            flex=flex,
        )
        inputs = [each.clone().requires_grad_(setting.on_gpu) for each in (q, k, v)]
        out = attend(inputs[0], inputs[1], inputs[2], mask, 0.125)
        if setting.on_gpu:
            (out * weights.flatten(2)).sum().backward()
        results.append([out.detach(), *(each.grad for each in inputs if each.grad is not None)])
    return max(float((one - other).abs().max()) for one, other in zip(*results, strict=True))


def one_by_one(setting: Setting) -> Figures:
    """Packed rows by the kernel for rows of several lengths, in 16 bits, beside a dense mask in fp32: values, and
    gradients. A CPU, which has no such kernel, works them out in fp32."""
    kind = torch.bfloat16 if setting.on_gpu else torch.float32
    if setting.on_gpu and not has_varlen(torch.device(setting.device), kind, 64):
        raise NotHere("no kernel for rows of several lengths: it needs compute capability 8.0")
    figures = Figures()
    for tokens in (48, 80) if setting.tiny else (512, 1024):
        documents_BT = packed(2, tokens)
        drawn = torch.randn(4, 2, tokens, 2, 64, generator=torch.Generator().manual_seed(tokens))
        for name in ("full", "causal"):
            sight = by_name(name, documents_BT.to(setting.device), host_BT=documents_BT)
            results = []
            for dtype, varlen in ((torch.float32, False), (kind, True)):
                q, k, v, weights = (each.to(setting.device, dtype) for each in drawn)
                mask = build_mask(sight, (2, tokens, tokens), device=q.device, dtype=dtype, varlen=varlen)
                assert (mask.runs is not None) is varlen
                inputs = [each.clone().requires_grad_() for each in (q, k, v)]
                out = attend(inputs[0], inputs[1], inputs[2], mask, 0.125)
                (out * weights.flatten(2)).sum().backward()
                results.append([out, *(each.grad for each in inputs)])
            error = max(
                float((one - other).float().norm() / one.norm()) for one, other in zip(*results, strict=True)
            )
            figures[f"{name}, {tokens}"] = error
            assert error < (2e-2 if setting.on_gpu else 1e-5), (
                f"{name} at {tokens} tokens: off by {error:.1e}"
            )
    return figures


def compiled(setting: Setting) -> Figures:
    """Compiled layers give the losses of plain ones. On a CPU they are traced, not turned into kernels."""
    make_accelerator("fp32", setting.device)
    case = next(cases.families(length(setting)))
    model = case.model(hidden(setting))
    expected, gradient = losses_and_gradient(deepcopy(model), case, setting.device, "fp32")
    for layer in model.layer_modules():
        layer.compile(backend="inductor" if setting.on_gpu else "aot_eager")
    loss, found = losses_and_gradient(model, case, setting.device, "fp32")
    error = float((found - gradient).norm() / gradient.norm())
    assert abs(loss / expected - 1) < 1e-3, f"{loss} compiled, {expected} plain"
    assert error < 1e-2, f"gradient off by {error:.1e}"
    return {"gradient": error}


CHECKS = (
    *(
        Check(
            f"families, {kind}",
            "losses and gradients of every family are those of the CPU in fp32, within rounding",
            families_in(kind),
        )
        for kind in FORMATS
    ),
    Check("objectives", "two updates of every objective have the losses of the CPU", steps_of_objectives),
    Check("block masks", "FlexAttention's blocks hide what dense masks hide, at two lengths", masks),
    Check("documents", "packed rows document by document are those of a dense mask", one_by_one),
    Check("compile", "compiled layers have the losses and gradients of plain ones", compiled),
)
