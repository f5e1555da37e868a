"""Device, number format and processes of training (DDP, FSDP2), by Accelerate."""

from __future__ import annotations

import os
import shutil
from collections.abc import Generator
from contextlib import contextmanager, suppress
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.state import AcceleratorState
from torch import nn

from kepipe.data.batch import Batch
from kepipe.device import compiler, fast_float16, has_compiler, native_bfloat16
from kepipe.models.protocols import TrainableModel
from kepipe.training.batch_shapes import has_few_shapes
from kepipe.training.criterion import Criterion, Losses
from kepipe.training.optimizer import OPTIMIZERS
from kepipe.training.settings import TrainingSettings
from kepipe.training.state_dict import restore_weights, weights

DEVICE_VARIABLE = "ACCELERATE_TORCH_DEVICE"
"""The environment variable by which Accelerate takes a device with an index."""

if TYPE_CHECKING:
    from torch.distributed.fsdp import FSDPModule
    from torch.distributed.tensor import DTensor

    from kepipe.training.microbatches import Batches


class LossModule(nn.Module):
    """Model and criterion as one module, so that DDP, FSDP and autocast wrap the whole forward pass, loss included."""

    def __init__(self, model: TrainableModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, criterion: Criterion, batch: Batch) -> Losses:
        """Term → mean."""
        return criterion(self.model, batch)


class ShardedLossModule(LossModule):
    """A `LossModule` whose weights are sharded over the processes (FSDP2; Zhao et al. 2023).

    A layer's weights are gathered only while it computes; weights outside layers are gathered for the whole step. With
    precision bf16 they are gathered in bf16, half the bytes, and gradients are summed in fp32; a process's own share
    of weights and optimiser state stays fp32. With fp16, whose small numbers are lost, they are gathered in fp32.
    """

    def __init__(self, model: TrainableModel, accelerator: Accelerator) -> None:
        """`model` is not changed or moved: a device never holds more than its shard and one full weight. Raises
        ValueError if a weight cannot be sharded."""
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import (
            MixedPrecisionPolicy,
            fully_shard,
        )  # imported here: takes half as long as torch itself

        super().__init__(without_values(model))
        for name, weight in model.named_parameters():
            if weight.ndim == 0:
                raise ValueError(f"parallel: fsdp2 cannot shard {name}, a single number: set `parallel: ddp`")
        mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
        half = torch.bfloat16 if accelerator.mixed_precision == "bf16" else None
        exchange = MixedPrecisionPolicy(half, half and torch.float32, cast_forward_inputs=False)
        for layer in self.model.layer_modules():
            fully_shard(layer, mesh=mesh, mp_policy=exchange)
        sharded = fully_shard(self, mesh=mesh, mp_policy=exchange)
        sharded.set_force_sum_reduction_for_comms(True)  # gloo knows no mean
        self.to_empty(device=accelerator.device)
        restore_weights(self.model, weights(model))
        for name, buffer in model.named_buffers():
            self.model.get_buffer(name).copy_(buffer)

    def forward(self, criterion: Criterion, batch: Batch) -> Losses:
        """Term → mean. Heads that this process's batch does not use get a gradient of 0, since all processes have to
        reduce the same gradients, and batches of a mixture may have different objectives. Weights of layers, which are
        sharded here, are used by all batches of a training or by none."""
        means = super().forward(criterion, batch)
        heads = (
            weight for weight in self.model.partially_used_parameters() if not hasattr(weight, "to_local")
        )
        nothing = sum((0.0 * weight.sum() for weight in heads), 0.0)
        return {name: mean + nothing for name, mean in means.items()}

    def clear_unused_grads(self) -> None:
        """Set the gradients of heads that no process used to None, as in a single process: with a gradient of 0 the
        optimiser would decay them, and apply momentum.

        Each process knows whether its own shard of a gradient is 0; one all-reduce of flags covers the whole.
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
        """Accumulate gradients without reducing them over processes."""
        cast("FSDPModule", self).set_requires_gradient_sync(False)
        try:
            yield
        finally:
            cast("FSDPModule", self).set_requires_gradient_sync(True)


def without_values(model: TrainableModel) -> TrainableModel:
    """A copy of the model on the device "meta", without values or memory. Tied weights stay tied."""
    memo: dict[int, Any] = {
        id(weight): nn.Parameter(weight.detach().to("meta"), weight.requires_grad)
        for weight in model.parameters()
    }
    memo |= {id(buffer): buffer.to("meta") for buffer in model.buffers()}
    return deepcopy(model, memo)


def is_sharded(accelerator: Accelerator, settings: TrainingSettings) -> bool:
    """Whether each process holds only a shard of the model."""
    return settings.parallel == "fsdp2" and accelerator.num_processes > 1


def resolve_precision(asked: str, device: str) -> str:
    """The number format: `asked`, or for "auto" the device's fastest. Raises ValueError if the device lacks it."""
    kind = torch.device(device).type
    if asked == "auto":
        return "bf16" if native_bfloat16(device) else "fp16" if fast_float16(device) else "fp32"
    if asked == "fp16" and kind == "cpu":
        raise ValueError("precision: fp16 needs a GPU; on this CPU set precision to auto, bf16 or fp32")
    if asked == "tf32" and kind != "cuda":
        raise ValueError(f"precision: tf32 needs an NVIDIA GPU; on {kind} set precision to auto or fp32")
    return asked


def make_accelerator(precision: str, device: str) -> Accelerator:
    """An Accelerator for number format `precision`; for several processes if torchrun or `launch` started them.

    With fp32, products on a GPU are in fp32, convolutions too; with tf32 they may round to 10 bits of mantissa. Raises
    ValueError if several processes would share one GPU.
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
        )
    finally:
        os.environ.pop(DEVICE_VARIABLE, None)
    if place.type == "cuda" and place.index is not None:
        torch.cuda.set_device(place)
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    torch.backends.cudnn.allow_tf32 = precision == "tf32"
    return accelerator


COMPILED_FROM, COMPILED_FROM_SECONDS = 500, 600
"""Steps, or seconds of a budget, from which `compile: auto` compiles."""
SHAPES = 64
"""The most shapes for which a layer is compiled."""


def compiles(model: TrainableModel, settings: TrainingSettings, device: torch.device) -> bool:
    """What `compile` stands for, for this model on this device."""
    if settings.compile != "auto":
        return settings.compile
    long = (
        settings.steps >= COMPILED_FROM
        if settings.budget is None
        else settings.budget >= COMPILED_FROM_SECONDS
    )
    return device.type == "cuda" and model.compiled_on_gpu and long and has_compiler()


def compiled_for_shapes(
    model: TrainableModel, settings: TrainingSettings, device: torch.device, batches: Batches
) -> bool:
    """Whether layers are compiled for each shape of batches by itself, as is fastest: where few shapes come."""
    return compiles(model, settings, device) and model.compiled_on_gpu and has_few_shapes(batches)


def set_flex_attention(model: TrainableModel, settings: TrainingSettings, device: torch.device) -> None:
    """What `flex_attention` stands for: with "auto", packed rows on CUDA, where the model takes it."""
    if settings.flex_attention != "auto":
        model.set_flex_attention("always" if settings.flex_attention else "never")
    elif device.type == "cuda":
        with suppress(ValueError):  # a model without masks to skip, or with dropout in its attention
            model.set_flex_attention("packed")


def _compile(model: TrainableModel, kernels: Path, static: bool) -> None:
    """Compile the layers, with an empty cache folder: a killed run may have left an incomplete kernel.

    `static`: there are kernels for each shape, and the model keeps to few of them. Else those for the shape of the
    first batch are followed, where another one comes, by kernels for any length.

    Raises ValueError if there is no compiler, here rather than deep in torch.compile at the first update.
    """
    try:
        compiler()
    except ValueError as reason:
        raise ValueError(f"compile: {reason}, or set `compile: false`") from None
    shutil.rmtree(kernels, ignore_errors=True)
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(kernels)
    if static:
        model.few_shapes = True
        limits: Any = torch._dynamo.config
        limits.recompile_limit = max(limits.recompile_limit, SHAPES)
    for layer in model.layer_modules():
        layer.compile(dynamic=False if static else None)


def parallelize(
    accelerator: Accelerator,
    model: TrainableModel,
    settings: TrainingSettings,
    scratch: Path,
    static: bool = False,
) -> tuple[TrainableModel, nn.Module, torch.optim.Optimizer]:
    """The model to train, the prepared module of model and loss, and the optimiser, on the device and over processes.

    The first is `model` itself; with FSDP2 it is a sharded copy, and `model` stays on the CPU. Compiled kernels go to
    `scratch`; `static`: see `compiled_for_shapes`.
    """
    sharded = is_sharded(accelerator, settings)
    loss_module = ShardedLossModule(model, accelerator) if sharded else LossModule(model)
    inner = loss_module.model
    inner.set_gradient_checkpointing(settings.gradient_checkpointing)
    if compiles(inner, settings, accelerator.device):
        _compile(inner, scratch / f"kernels-{accelerator.process_index}", static)
    optimizer = OPTIMIZERS[settings.optimizer](inner, settings)
    if isinstance(loss_module, ShardedLossModule):
        clear = loss_module.clear_unused_grads
        optimizer.register_step_pre_hook(lambda *_: clear())
    # to look for weights without a gradient, DDP walks through each graph, and waits for the GPU where it finds one
    unused = any(weight.requires_grad for weight in inner.partially_used_parameters())
    accelerator.ddp_handler = DistributedDataParallelKwargs(find_unused_parameters=unused)
    # `evaluation_mode` only keeps Accelerate from wrapping the module in DDP
    trained: nn.Module = accelerator.prepare_model(loss_module, evaluation_mode=sharded)
    optimizer = accelerator.prepare_optimizer(optimizer)
    trained.train()
    return inner, trained, optimizer
