"""When the loss is no longer finite: save the batch that led to it, and say what to try."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from safetensors.torch import save_file
from torch import Tensor, nn

from kepipe.training.metrics import NotFinite
from kepipe.training.microbatches import MicroBatch


class Diverged(ValueError):
    """Training cannot continue; the message says where the batch was saved, and what to try."""


def diverged(reason: NotFinite, parts: Sequence[MicroBatch], folder: Path, rate: float) -> Diverged:
    """Save the micro-batches of the bad update as safetensors in `folder`; returns the error to raise."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"not-finite-step-{reason.update.step + 1:08d}.safetensors"
    named = {
        f"part{n}.{name}": value for n, part in enumerate(parts) for name, value in _tensors(part).items()
    }
    save_file(named, file)
    return Diverged(
        f"{reason}: training stops. The batch is in {file}; the checkpoints before it are intact. "
        f"The learning rate was {rate:.3g}: try a lower one, a longer warm-up, or `precision: fp32`"
    )


def require_finite(model: nn.Module, rate: float) -> None:
    """Raise Diverged if a weight is not finite: the last update may have broken it, and no loss is computed after
    it."""
    bad = [name for name, weight in model.named_parameters() if not weight.isfinite().all()]
    if bad:
        raise Diverged(
            f"{bad[0]} and {len(bad) - 1} other weights are not finite at the end: nothing is saved. The learning rate "
            f"was {rate:.3g}: try a lower one, a longer warm-up, or `precision: fp32`"
        )


def _tensors(part: MicroBatch) -> dict[str, Tensor]:
    present = {f.name: getattr(part.batch, f.name) for f in fields(part.batch)}
    flat = {name: value.contiguous() for name, value in present.items() if isinstance(value, Tensor)}
    return flat | {f"extra.{name}": value.contiguous() for name, value in part.batch.extra.items()}
