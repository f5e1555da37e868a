"""Objectives in turn: each batch belongs to one, drawn by weight among those that have joined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from kepipe.data.batch import Batch, TokenRows
from kepipe.objectives.base import Objective, measures

if TYPE_CHECKING:
    from kepipe.models.transformer import Transformer


@dataclass(frozen=True)
class TaskMixture:
    """`Batch.part` says to which of `parts` a batch belongs. Terms are named "name.term"."""

    parts: tuple[Objective, ...]
    names: tuple[str, ...]
    weights: tuple[float, ...]
    joins: tuple[float, ...]
    """Share of the training after which each part joins."""
    tasks: bool
    """Whether the model is told, by a task embedding, to which part a batch belongs."""

    @cached_property
    def terms(self) -> tuple[str, ...]:
        """Those of all parts; a name that comes twice is numbered."""
        return tuple(self._term(p, term) for p, part in enumerate(self.parts) for term in part.terms)

    @cached_property
    def measures(self) -> tuple[str, ...]:
        """Those of all parts, named as terms are."""
        return tuple(self._term(p, name) for p, part in enumerate(self.parts) for name in measures(part))

    def corrupt(self, rows: TokenRows, rng: np.random.Generator, progress: float) -> Batch:
        """See `Objective.corrupt`."""
        joined = np.array(self.joins) <= progress
        weights = np.where(joined, self.weights, 0.0)
        chosen = int(rng.choice(len(self.parts), p=weights / weights.sum()))
        batch = replace(self.parts[chosen].corrupt(rows, rng, progress), part=chosen)
        return replace(batch, tasks=torch.full_like(batch.tokens, chosen)) if self.tasks else batch

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """See `Objective.counts`."""
        inner = self.parts[batch.part].counts(batch)
        return {self._term(batch.part, name): count for name, count in inner.items()}

    def loss(self, model: Transformer, batch: Batch) -> dict[str, Tensor]:
        """See `Objective.loss`."""
        inner = self.parts[batch.part].loss(model, batch)
        return {self._term(batch.part, name): mean for name, mean in inner.items()}

    def _term(self, part: int, term: str) -> str:
        name = self.names[part]
        again = self.names[:part].count(name)
        return f"{name}{again + 1 if again else ''}.{term}"
