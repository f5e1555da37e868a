"""The loss on text that the model never trains on."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from accelerate import Accelerator
from torch import nn

from kepipe.objectives.base import Objective, measures
from kepipe.training.metrics import name_terms
from kepipe.training.microbatches import RowSource

DRAW = 20_190_419
"""Seed of the corruption of held-out text: one for all arms, seeds and times, so that losses compare."""


class Evaluator(Protocol):
    """Measures a model from time to time. `selection_metric`: the figure that says how good the model is; lower is better."""

    @property
    def selection_metric(self) -> str: ...

    def measure(self, accelerator: Accelerator, trained: nn.Module) -> dict[str, float]:
        """The figures by name."""
        ...


class HeldOutLoss:
    """Held-out batches, corrupted once. Every process measures all of them: they are few."""

    selection_metric = "held_out_loss"

    def __init__(self, objective: Objective, render: RowSource, batches: int) -> None:
        self.objective = objective
        self.batches = [
            objective.corrupt(render(n), np.random.default_rng([DRAW, n]), 1.0) for n in range(batches)
        ]

    @torch.no_grad()
    def measure(self, accelerator: Accelerator, trained: nn.Module) -> dict[str, float]:
        """`held_out_loss`, the sum of the terms' means over all batches, each term where there are several, and
        `held_out_` with the name of each measure."""
        told = measures(self.objective)
        sums = dict.fromkeys(self.objective.terms + told, 0.0)
        places = dict.fromkeys(sums, 0)
        trained.eval()
        for batch in self.batches:
            counts = self.objective.counts(batch)
            for name, mean in trained(self.objective, batch.to(accelerator.device)).items():
                sums[name] += float(mean) * counts[name]
                places[name] += counts[name]
        trained.train()
        means = {name: sums[name] / places[name] for name in sums if places[name]}
        besides = {f"held_out_{name}": means.pop(name) for name in told if name in means}
        return name_terms("held_out_loss", means) | besides
