"""Several objectives in one training: each batch has one, drawn by weight among those that have joined. `mixture.py`
has the settings, `turns.py` the schedules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from kepipe.data.batch import Batch, TokenRows
from kepipe.objectives.base import Collator, Objective
from kepipe.objectives.losses import HiddenCriterion
from kepipe.objectives.turns import Turns


@dataclass(frozen=True)
class MixtureCollator:
    """A `Collator` that draws one of `parts` for each batch; `Batch.objective_id` is its index."""

    parts: tuple[Collator, ...]
    turns: Turns
    tasks: bool
    """Whether the index is also the task id of every token, for the model's task embedding."""

    def __call__(self, rows: TokenRows, rng: np.random.Generator, progress: float) -> Batch:
        """See `Collator`."""
        chosen, own_progress = self.choose(rng, progress)
        return self.with_objective_id(self.parts[chosen](rows, rng, own_progress), chosen)

    def choose(self, rng: np.random.Generator, progress: float) -> tuple[int, float]:
        """The index of the part that a batch gets, and the share of that part's own training that is done."""
        weights = self.turns.weights_at(progress)
        chosen = int(rng.choice(len(self.parts), p=weights / weights.sum()))
        return chosen, self.turns.own_progress(chosen, progress)

    def with_objective_id(self, batch: Batch, part: int) -> Batch:
        """The batch of a part, marked with the part's index."""
        batch = replace(batch, objective_id=part)
        return replace(batch, tasks=torch.full_like(batch.tokens, part)) if self.tasks else batch


@dataclass(frozen=True)
class MixtureCriterion(HiddenCriterion):
    """Applies the criterion of the batch's objective. Terms are named "objective.term"; an objective that occurs twice
    is numbered."""

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


@dataclass(frozen=True, kw_only=True)
class TaskMixture(Objective):
    """One objective per batch, each on rows of its own if it has any."""

    collate: MixtureCollator
    parts: tuple[Objective, ...]

    def batch(
        self, number: int, rows: Callable[[int], TokenRows], rng: np.random.Generator, progress: float
    ) -> Batch:
        """See `Objective`."""
        chosen, own_progress = self.collate.choose(rng, progress)
        return self.collate.with_objective_id(
            self.parts[chosen].batch(number, rows, rng, own_progress), chosen
        )

    def held_out(
        self, rows: Callable[[int], TokenRows], count: int, rng: Callable[[int], np.random.Generator]
    ) -> list[Batch]:
        """See `Objective`: those of every part."""
        return [
            self.collate.with_objective_id(batch, number)
            for number, part in enumerate(self.parts)
            for batch in part.held_out(rows, count, rng)
        ]


def task_mixture(
    parts: Sequence[Objective], names: Sequence[str], turns: Turns, tasks: bool = False
) -> TaskMixture:
    """The mixture of `parts` (see `MixtureCollator` and `MixtureCriterion`)."""
    return TaskMixture(
        collate=MixtureCollator(tuple(part.collate for part in parts), turns, tasks),
        criterion=MixtureCriterion(tuple(part.criterion for part in parts), tuple(names)),
        parts=tuple(parts),
    )
