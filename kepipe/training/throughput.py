"""Throughput of training, and the machine's peak for comparison."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from kepipe.data.batch import Batch
from kepipe.models.protocols import TrainableModel
from kepipe.training.cards import published_peak
from kepipe.training.criterion import Criterion
from kepipe.training.distributed import is_sharded
from kepipe.training.metrics import MetricAccumulator
from kepipe.training.microbatches import MicrobatchLoader

FORMATS = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Throughput:
    """FLOPs per token of training, and the peak FLOPs a second of one process's device."""

    flops_per_token: float
    peak_flops: float

    @classmethod
    def measure(
        cls, accelerator: Accelerator, model: TrainableModel, criterion: Criterion, loader: MicrobatchLoader
    ) -> Throughput:
        """Count FLOPs on the first batch, and measure the device's peak (a sixth of a second). A model that will be
        sharded is not moved to the device: its FLOPs are counted where it is."""
        first = loader.load(0)
        if is_sharded(accelerator, loader.settings):
            flops = training_flops(model, criterion, first.batch)
        else:
            model.to(accelerator.device)
            flops = training_flops(model, criterion, first.batch.to(accelerator.device))
        kind = FORMATS.get(accelerator.mixed_precision, torch.float32)
        return cls(flops / max(1, first.tokens), peak(accelerator.device, kind))

    def of(self, accumulator: MetricAccumulator, processes: int) -> dict[str, float]:
        """Throughput since the last log record, of all processes together."""
        per_second = accumulator.tokens / accumulator.seconds()
        return {
            "tokens_per_second": processes * per_second,
            "model_flops_utilisation": per_second * self.flops_per_token / self.peak_flops,
            "data_wait_share": accumulator.waited / accumulator.seconds(),
        }


def peak(device: torch.device, kind: torch.dtype) -> float:
    """Peak FLOPs per second of a device: in 16 bits the published peak of a known card, as usual for MFU; else the
    measured one."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else ""
    published = published_peak(name) if kind.itemsize == 2 else None
    return matmul_peak(device, kind) if published is None else published


@lru_cache
def matmul_peak(
    device: torch.device, kind: torch.dtype, *, size: int | None = None, seconds: float = 0.15
) -> float:
    """Peak FLOPs per second: the best of several products of square matrices, measured once per process; on a GPU with
    8,192 rows, since smaller ones do not occupy it."""
    size = size or (8192 if device.type == "cuda" else 2048)
    square = torch.ones(size, size, dtype=kind, device=device)
    end, best = time.perf_counter() + seconds, _time(square)
    while time.perf_counter() < end:
        best = min(best, _time(square))
    return 2 * size**3 / best


def _time(square: Tensor) -> float:
    _wait(square)
    start = time.perf_counter()
    square @ square
    _wait(square)
    return time.perf_counter() - start


def _wait(square: Tensor) -> None:
    if square.is_cuda:
        torch.cuda.synchronize(square.device)


def training_flops(model: TrainableModel, criterion: Criterion, batch: Batch) -> float:
    """FLOPs of a forward and backward pass over a batch.

    The matrix products of one forward pass are counted; the backward pass has two for each (Kaplan et al. 2020, §2.1).
    Recomputation by gradient checkpointing is not counted: these are *model* FLOPs.
    """
    training, learning = model.training, [p for p in model.parameters() if p.requires_grad]
    on_cpu: dict[Any, Any] = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention}
    with FlopCounterMode(display=False, custom_mapping=on_cpu) as counter:
        model.eval().requires_grad_(
            False
        )  # a loss that computes its gradient in the forward pass must not count it
        criterion(model, batch)
    model.train(training)
    for parameter in learning:
        parameter.requires_grad_(True)
    return 3.0 * float(counter.get_total_flops())


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    flops: int = sdpa_flop_count(query, key, value)  # type: ignore[no-untyped-call]
    return flops
