"""Measuring a model while it trains, on what it never trains on."""

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
    """Measures a model from time to time. `selection_metric` names the metric that says how good the model is; lower
    is better."""

    @property
    def selection_metric(self) -> str: ...

    def evaluate(self, accelerator: Accelerator, loss_module: nn.Module) -> dict[str, float]:
        """Metric → value."""
        ...


class HeldOutLoss:
    """The loss on fixed batches. Every process measures all of them: they are few."""

    selection_metric = "held_out_loss"

    def __init__(self, criterion: Criterion, batches: Sequence[Batch]) -> None:
        self.criterion, self.batches = criterion, batches

    @torch.no_grad()
    def evaluate(self, accelerator: Accelerator, loss_module: nn.Module) -> dict[str, float]:
        """`held_out_loss`, the sum of the terms' means over all batches, each term where there are several, and
        `held_out_` with the name of each metric."""
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
