"""Evaluation during training, on held-out data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from accelerate import Accelerator
from torch import nn

from kepipe.data.batch import Batch
from kepipe.training.carried_states import CarriedStates
from kepipe.training.criterion import Criterion
from kepipe.training.metrics import name_terms


class Evaluator(Protocol):
    """Evaluates a model during training. `selection_metric`: the metric by which checkpoints are compared; lower is
    better."""

    @property
    def selection_metric(self) -> str: ...

    def evaluate(self, accelerator: Accelerator, loss_module: nn.Module) -> dict[str, float]:
        """Metric → value."""
        ...


class HeldOutLoss:
    """The loss on fixed batches. Every process evaluates all of them, since they are few."""

    selection_metric = "held_out_loss"

    def __init__(self, criterion: Criterion, batches: Sequence[Batch]) -> None:
        self.criterion, self.batches = criterion, batches

    @torch.no_grad()
    def evaluate(self, accelerator: Accelerator, loss_module: nn.Module) -> dict[str, float]:
        """`held_out_loss`: the sum of the terms' means over all batches; `held_out_loss_TERM` for each term if there
        are several; `held_out_METRIC` for each metric."""
        names = self.criterion.metrics
        sums = dict.fromkeys(self.criterion.terms + names, 0.0)
        places = dict.fromkeys(sums, 0)
        carried = CarriedStates()
        loss_module.eval()
        for batch in self.batches:
            counts = self.criterion.counts(batch)
            followed = carried.attach(batch.to(accelerator.device))
            for name, mean in loss_module(self.criterion, followed).items():
                sums[name] += float(mean) * counts[name]
                places[name] += counts[name]
        loss_module.train()
        means = {name: sums[name] / places[name] for name in sums if places[name]}
        metrics = {f"held_out_{name}": means.pop(name) for name in names if name in means}
        return name_terms("held_out_loss", means) | metrics
