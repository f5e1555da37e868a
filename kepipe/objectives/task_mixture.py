"""Objectives in turn: each batch belongs to one, drawn by weight among those that have joined."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kepipe.data.batch import Batch, TokenRows
from kepipe.objectives.base import Collator, Objective
from kepipe.objectives.losses import HiddenCriterion


@dataclass(frozen=True)
class MixtureCollator:
    """`Batch.objective_id` says by which of `parts` a batch was made."""

    parts: tuple[Collator, ...]
    weights: tuple[float, ...]
    joins: tuple[float, ...]
    """Share of the training after which each part joins."""
    tasks: bool
    """Whether the model is told, by a task embedding, to which part a batch belongs."""

    def __call__(self, rows: TokenRows, rng: np.random.Generator, progress: float) -> Batch:
        """See `Collator`."""
        joined = np.array(self.joins) <= progress
        weights = np.where(joined, self.weights, 0.0)
        chosen = int(rng.choice(len(self.parts), p=weights / weights.sum()))
        # a part that has stages of its own goes through all of them, however late it joins
        own_progress = (progress - self.joins[chosen]) / (1 - self.joins[chosen])
        batch = replace(self.parts[chosen](rows, rng, own_progress), objective_id=chosen)
        return replace(batch, tasks=torch.full_like(batch.tokens, chosen)) if self.tasks else batch


@dataclass(frozen=True)
class MixtureCriterion(HiddenCriterion):
    """The criterion of the batch's own objective. Terms are named "name.term"; a name that comes twice is numbered."""

    parts: tuple[HiddenCriterion, ...]
    names: tuple[str, ...]

    @cached_property
    def terms(self) -> tuple[str, ...]:
        """Those of all parts."""
        return tuple(self._name(p, term) for p, part in enumerate(self.parts) for term in part.terms)

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Those of all parts."""
        return tuple(self._name(p, metric) for p, part in enumerate(self.parts) for metric in part.metrics)

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """See `Criterion.counts`."""
        counts = self.parts[batch.objective_id].counts(batch)
        return {self._name(batch.objective_id, name): count for name, count in counts.items()}

    def positions(self, batch: Batch) -> tuple[Tensor, ...]:
        """See `HiddenCriterion`."""
        return self.parts[batch.objective_id].positions(batch)

    def losses(self, model: Any, hidden: tuple[Tensor, ...], batch: Batch) -> dict[str, Tensor]:
        """See `HiddenCriterion`."""
        means = self.parts[batch.objective_id].losses(model, hidden, batch)
        return {self._name(batch.objective_id, name): mean for name, mean in means.items()}

    def _name(self, part: int, term: str) -> str:
        name = self.names[part]
        earlier = self.names[:part].count(name)
        return f"{name}{earlier + 1 if earlier else ''}.{term}"


def task_mixture(
    parts: Sequence[Objective],
    names: Sequence[str],
    weights: Sequence[float],
    joins: Sequence[float],
    tasks: bool = False,
) -> Objective:
    """The parts in turn (see `MixtureCollator` and `MixtureCriterion`)."""
    return Objective(
        MixtureCollator(tuple(part.collate for part in parts), tuple(weights), tuple(joins), tasks),
        MixtureCriterion(tuple(part.criterion for part in parts), tuple(names)),
    )
