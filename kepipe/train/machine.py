"""The machine a training runs on: device, number format, processes. Accelerate does the work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState
from torch import Tensor, nn

from kepipe.batch import Batch
from kepipe.objectives.contract import Objective
from kepipe.train.optimizer import adamw
from kepipe.train.settings import Training

if TYPE_CHECKING:
    from kepipe.models.transformer import Transformer


class Trained(nn.Module):
    """Model and loss as one module, so that what wraps a module (DDP, FSDP, autocast) sees a whole step."""

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model = model

    def forward(self, objective: Objective, batch: Batch) -> dict[str, Tensor]:
        """Term → mean."""
        return objective.loss(self.model, batch)


def choose_precision(asked: str, device: str) -> str:
    """What "auto" means on a device; else what is asked, with a ValueError where the device cannot do it."""
    kind = torch.device(device).type
    if asked == "auto":
        native = {"cpu": torch.cpu._is_avx512_bf16_supported, "cuda": torch.cuda.is_bf16_supported}.get(kind)
        return "bf16" if native and native() else "fp32"
    if asked == "fp16" and kind == "cpu":
        raise ValueError("precision: fp16 needs a GPU; on this CPU set precision to auto, bf16 or fp32")
    return asked


def accelerator(precision: str, device: str) -> Accelerator:
    """The machine in number format `precision`; of several processes if torchrun started them."""
    AcceleratorState._reset_state()  # a process may train several models, each in its own precision
    return Accelerator(
        mixed_precision={"fp32": "no"}.get(precision, precision),
        cpu=torch.device(device).type == "cpu",
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],  # a head no term uses
    )


def spread(
    machine: Accelerator, model: Transformer, settings: Training
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """The model with its loss, and its optimiser, on the machine's device and over its processes."""
    if settings.recompute:
        model.recompute_layers()
    if settings.compile:
        model.compile_layers()
    trained: nn.Module = Trained(model)
    trained, optimizer = machine.prepare(trained, adamw(trained, settings))
    trained.train()
    return trained, optimizer
