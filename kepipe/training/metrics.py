"""Metrics since the last log record, kept on the device so that no step waits for a value."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from accelerate import Accelerator
from torch import Tensor

from kepipe.device import exact
from kepipe.training.microbatches import MicroBatch, PlannedUpdate


class NotFinite(ArithmeticError):
    """`what` (the loss or the gradient) of an update is not finite."""

    def __init__(self, update: PlannedUpdate, what: str) -> None:
        super().__init__(f"{what} of step {update.step + 1} is not finite")
        self.update, self.what = update, what


@dataclass
class MetricAccumulator:
    """This process's updates since the last log record."""

    terms: tuple[str, ...]
    """Names of the loss's terms."""
    metrics: tuple[str, ...] = ()
    """Names of other values that are logged."""
    updates: list[PlannedUpdate] = field(default_factory=list)
    sums: list[Tensor] = field(default_factory=list)
    """For each update, the sum of each term and metric over its places, [K] on the device."""
    counts: list[Sequence[float]] = field(default_factory=list)
    """For each update, the number of places of each term and metric."""
    norms: list[Tensor] = field(default_factory=list)
    tokens: int = 0
    waited: float = 0.0
    """Seconds spent waiting for batches."""
    began: float = field(default_factory=time.perf_counter)

    def wait(
        self, updates: Iterator[tuple[PlannedUpdate, list[MicroBatch]]]
    ) -> tuple[PlannedUpdate, list[MicroBatch]]:
        """The next update and this process's micro-batches of it; adds the time until they are ready to `waited`."""
        start = time.perf_counter()
        update, parts = next(updates)
        self.waited += time.perf_counter() - start
        self.tokens += sum(part.tokens for part in parts)
        return update, parts

    def add(
        self, update: PlannedUpdate, sums: Mapping[str, Tensor], parts: Sequence[MicroBatch], norm: Tensor
    ) -> None:
        """Record an update."""
        zero = torch.zeros((), device=norm.device)
        self.updates.append(update)
        names = self.terms + self.metrics
        self.sums.append(torch.stack([sums.get(name, zero) for name in names]))
        self.counts.append([sum(part.counts.get(name, 0) for part in parts) for name in names])
        self.norms.append(norm)

    def means(self, accelerator: Accelerator) -> dict[str, float]:
        """Mean of each term and metric over all updates and processes. Raises NotFinite for the first bad update."""
        sums_SK = torch.stack(self.sums)
        kind = exact(sums_SK.device)
        sums_SK = sums_SK.to(kind)
        counts_SK = torch.tensor(self.counts, dtype=kind, device=sums_SK.device)
        sums_SK, counts_SK = accelerator.reduce((sums_SK, counts_SK), "sum")
        norms_S = torch.stack(self.norms)
        overflow_is_normal = accelerator.scaler is not None  # fp16: such an update is skipped
        for update, total, norm in zip(self.updates, sums_SK.sum(1).tolist(), norms_S.tolist(), strict=True):
            if not math.isfinite(total):
                raise NotFinite(update, "the loss")
            if not (math.isfinite(norm) or overflow_is_normal):
                raise NotFinite(update, "the gradient")
        sums_K, counts_K = sums_SK.sum(0).tolist(), counts_SK.sum(0).tolist()
        names = self.terms + self.metrics
        means = {n: s / c for n, s, c in zip(names, sums_K, counts_K, strict=True) if c}
        metrics = {name: means.pop(name) for name in self.metrics if name in means}
        return name_terms("loss", means) | metrics | {"gradient_norm": float(norms_S.mean())}

    def seconds(self) -> float:
        """Time since the last log record."""
        return time.perf_counter() - self.began


def name_terms(prefix: str, means: Mapping[str, float]) -> dict[str, float]:
    """Names for a loss: `prefix` for the sum of its terms and, if there are several, `prefix`_TERM for each."""
    if not means:
        return {}
    parts = {f"{prefix}_{name}": mean for name, mean in means.items()} if len(means) > 1 else {}
    return {prefix: sum(means.values()), **parts}
