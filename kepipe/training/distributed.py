"""The machine a training runs on: device, number format, processes. Accelerate does the work."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState
from torch import nn

from kepipe.data.batch import Batch
from kepipe.device import compiler, fast_float16, native_bfloat16
from kepipe.models.protocols import TrainableModel
from kepipe.training.criterion import Criterion, Losses
from kepipe.training.optimizer import OPTIMIZERS
from kepipe.training.settings import TrainingSettings
from kepipe.training.state_dict import restore_weights, weights

DEVICE_VARIABLE = "ACCELERATE_TORCH_DEVICE"
"""By which alone Accelerate can be told a device with its index."""

if TYPE_CHECKING:
    from torch.distributed.fsdp import FSDPModule
    from torch.distributed.tensor import DTensor


class LossModule(nn.Module):
    """Model and loss as one module, so that what wraps a module (DDP, FSDP, autocast) sees a whole step."""

    def __init__(self, model: TrainableModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, criterion: Criterion, batch: Batch) -> Losses:
        """Term → mean."""
        return criterion(self.model, batch)


class ShardedLossModule(LossModule):
    """The same with each layer's weights cut up over the processes (FSDP2; Zhao et al. 2023).

    A layer is whole only while it is at work; what stands outside layers is whole during the step.
    """

    def __init__(self, whole: TrainableModel, accelerator: Accelerator) -> None:
        """`whole` stays as and where it is: a device never holds more of it than its share and one weight."""
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard  # imported here: takes half as long as torch itself

        super().__init__(without_values(whole))
        mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
        for layer in self.model.layer_modules():
            fully_shard(layer, mesh=mesh)
        sharded = fully_shard(self, mesh=mesh)
        sharded.set_force_sum_reduction_for_comms(True)  # gloo knows no mean
        self.to_empty(device=accelerator.device)
        restore_weights(self.model, weights(whole))
        for name, buffer in whole.named_buffers():
            self.model.get_buffer(name).copy_(buffer)

    def forward(self, criterion: Criterion, batch: Batch) -> Losses:
        """Term → mean. Heads that this process's batch does not use get a gradient of 0: all processes have to
        exchange the same gradients, and in a mixture their batches may be of different objectives."""
        means = super().forward(criterion, batch)
        nothing = sum((0.0 * weight.sum() for weight in self.model.partially_used_parameters()), 0.0)
        return {name: mean + nothing for name, mean in means.items()}

    def clear_unused_grads(self) -> None:
        """Take the gradient from heads that no process's batch used, as they have none in one process alone: else
        they would decay, and go on in the direction of their last updates.

        Each process knows of its own part of a gradient whether it is 0; one exchange of flags tells of the whole.
        """
        weights = [weight for weight in self.model.partially_used_parameters() if weight.grad is not None]
        if not weights:
            return
        used = torch.stack([cast("DTensor", weight.grad).to_local().any() for weight in weights]).int()
        torch.distributed.all_reduce(used, torch.distributed.ReduceOp.MAX)
        for weight, is_used in zip(weights, used.tolist(), strict=True):
            if not is_used:
                weight.grad = None

    @contextmanager
    def no_sync(self) -> Generator[None]:
        """Add gradients up without exchanging them."""
        cast("FSDPModule", self).set_requires_gradient_sync(False)
        try:
            yield
        finally:
            cast("FSDPModule", self).set_requires_gradient_sync(True)


def without_values(model: TrainableModel) -> TrainableModel:
    """A copy of the model whose weights hold no values and take no memory (device "meta"). Weights that are one stay
    one."""
    memo: dict[int, Any] = {
        id(weight): nn.Parameter(weight.detach().to("meta"), weight.requires_grad)
        for weight in model.parameters()
    }
    memo |= {id(buffer): buffer.to("meta") for buffer in model.buffers()}
    return deepcopy(model, memo)


def is_sharded(accelerator: Accelerator, settings: TrainingSettings) -> bool:
    """Whether each process holds a part of the model alone."""
    return settings.parallel == "fsdp2" and accelerator.num_processes > 1


def resolve_precision(asked: str, device: str) -> str:
    """What "auto" means on a device; else what is asked, with a ValueError where the device cannot do it."""
    kind = torch.device(device).type
    if asked == "auto":
        return "bf16" if native_bfloat16(device) else "fp16" if fast_float16(device) else "fp32"
    if asked == "fp16" and kind == "cpu":
        raise ValueError("precision: fp16 needs a GPU; on this CPU set precision to auto, bf16 or fp32")
    if asked == "tf32" and kind != "cuda":
        raise ValueError(f"precision: tf32 needs an NVIDIA GPU; on {kind} set precision to auto or fp32")
    return asked


def make_accelerator(precision: str, device: str) -> Accelerator:
    """The machine in number format `precision`; of several processes if torchrun or `launch` started them.

    In fp32 a GPU's products are in fp32, convolutions too; in tf32 they may round to 10 bits of mantissa. Raises
    ValueError where several processes are to share one GPU.
    """
    place = torch.device(device)
    grouped = torch.distributed.is_initialized() or int(os.environ.get("WORLD_SIZE", "1")) > 1
    if grouped and place.index is not None:
        raise ValueError(
            f"device: {device} is one GPU, and each process of a group has its own: set `device: {place.type}`"
        )
    # A process may train several models, each in its own precision and on its own device.
    AcceleratorState._reset_state(reset_partial_state=True)
    if not grouped:  # in a group each process has the device of its number
        os.environ[DEVICE_VARIABLE] = device
    try:
        accelerator = Accelerator(
            mixed_precision={"fp32": "no", "tf32": "no"}.get(precision, precision),
            cpu=place.type == "cpu",
            kwargs_handlers=[
                DistributedDataParallelKwargs(find_unused_parameters=True)
            ],  # a head no term uses
        )
    finally:
        os.environ.pop(DEVICE_VARIABLE, None)
    if place.type == "cuda" and place.index is not None:
        torch.cuda.set_device(place)
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    return accelerator


def _compile(model: TrainableModel, kernels: Path) -> None:
    """Have the layers compiled, into an empty folder: a run that was killed may have left half a kernel.

    Raises ValueError here, where there is no compiler, rather than deep in torch.compile at the first update.
    """
    try:
        compiler()
    except ValueError as reason:
        raise ValueError(f"compile: {reason}, or set `compile: false`") from None
    shutil.rmtree(kernels, ignore_errors=True)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(kernels)
    for layer in model.layer_modules():
        layer.compile()


def parallelize(
    accelerator: Accelerator, model: TrainableModel, settings: TrainingSettings, scratch: Path
) -> tuple[TrainableModel, nn.Module, torch.optim.Optimizer]:
    """The model that is trained, the same with its loss, and its optimiser, on the machine and over its processes.

    The first is `model` itself, but with FSDP2 a copy that is cut up, while `model` stays whole on the CPU. What is
    compiled goes to `scratch`.
    """
    cut_up = is_sharded(accelerator, settings)
    loss_module = ShardedLossModule(model, accelerator) if cut_up else LossModule(model)
    inner = loss_module.model
    inner.set_gradient_checkpointing(settings.gradient_checkpointing)
    if settings.compile:
        _compile(inner, scratch / f"kernels-{accelerator.process_index}")
    optimizer = OPTIMIZERS[settings.optimizer](inner, settings)
    if isinstance(loss_module, ShardedLossModule):
        sharded = loss_module
        optimizer.register_step_pre_hook(lambda *_: sharded.clear_unused_grads())
    # In evaluation mode there is no DDP around it.
    trained: nn.Module = accelerator.prepare_model(loss_module, evaluation_mode=cut_up)
    optimizer = accelerator.prepare_optimizer(optimizer)
    trained.train()
    return inner, trained, optimizer
