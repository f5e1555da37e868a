"""Distillation in pretraining: the student predicts masked tokens as a trained model, the teacher, does.

The teacher reads the same corrupted rows, with its own knowledge: entities that it fuses, or triples written into the
text. The student sees none of it, unless it has knowledge itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from kepipe.objectives.base import Objective
from kepipe.objectives.losses import HiddenCriterion, LossSum, TokenModel
from kepipe.training.criterion import Losses
from kepipe.training.soft_targets import divergence, similarity_difference

if TYPE_CHECKING:
    from kepipe.data.batch import Batch, Mentions, TokenRows

DISTILLATION, SIMILARITIES = "distillation", "similarities"
"""Names of the loss terms."""


class TokenPredictor(TokenModel, Protocol):
    """A model that gives the probabilities of all tokens."""

    def vocabulary(self, hidden_ND: Tensor) -> Tensor:
        """Logits [N, V] from hidden states."""
        ...


@dataclass(frozen=True)
class Teacher:
    """A trained model, in evaluation mode, on the device of the training. `apply`: adds its knowledge about the
    mentions of a batch; None: it has none."""

    model: TokenPredictor
    apply: Callable[[Batch, Mentions], Batch] | None = None

    def read(self, batch: Batch, rows: TokenRows) -> Batch:
        """A student's batch as the teacher reads it.

        Raises ValueError if the knowledge pushes predicted tokens out of the rows.
        """
        own = replace(batch, extra={}, entities=None, entity_vectors=None, entity_rows=None)
        if self.apply is None:
            return own
        with_facts = self.apply(own, rows.mentions())
        assert batch.labels is not None
        assert with_facts.labels is not None
        if len(with_facts.labels) < len(batch.labels):
            raise ValueError(
                "distillation: the teacher's knowledge pushes predicted tokens out of its rows: set a larger `length` "
                "in its `knowledge`"
            )
        return with_facts


class TeacherLoss(HiddenCriterion):
    """At the predicted tokens: `divergence` from the teacher's probabilities, and optionally how much the similarities
    of hidden states differ from the teacher's.

    Similarities are those of the N hidden states of a micro-batch, see `similarity_difference`.
    """

    def __init__(self, teacher: TokenPredictor, temperature: float, *, similarities: bool) -> None:
        self.teacher, self.temperature = teacher, temperature
        self._terms = (DISTILLATION, *([SIMILARITIES] if similarities else []))

    @property
    def terms(self) -> tuple[str, ...]:
        """See `Criterion`."""
        return self._terms

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """See `Criterion`: the number of predicted tokens."""
        assert batch.labels is not None
        return dict.fromkeys(self._terms, len(batch.labels))

    def positions(self, batch: Batch) -> tuple[Tensor, ...]:
        """See `HiddenCriterion`."""
        assert batch.label_positions is not None
        return (batch.label_positions,)

    def losses(self, model: TokenPredictor, hidden: tuple[Tensor, ...], batch: Batch) -> Losses:
        """See `HiddenCriterion`."""
        (hidden_ND,) = hidden
        if not len(hidden_ND):
            return dict.fromkeys(self._terms, hidden_ND.sum())
        assert batch.teacher is not None
        with torch.no_grad():
            theirs_ND = self.teacher(batch.teacher, batch.teacher.label_positions)
            targets_NV = F.softmax(self.teacher.vocabulary(theirs_ND).float() / self.temperature, dim=-1)
        means = {DISTILLATION: divergence(model.vocabulary(hidden_ND), targets_NV, self.temperature)}
        if SIMILARITIES in self._terms:
            means[SIMILARITIES] = similarity_difference(hidden_ND, theirs_ND)
        return means


def learn_from(
    objective: Objective, teacher: Teacher, temperature: float, weight: float, similarities: float = 0.0
) -> Objective:
    """The objective, with the teacher's probabilities as `weight` of the loss and the labels as the rest, plus
    `similarities` times the term of that name."""

    def collate(rows: TokenRows, rng: np.random.Generator, progress: float) -> Batch:
        batch = objective.collate(rows, rng, progress)
        return replace(batch, teacher=teacher.read(batch, rows))

    weights = dict.fromkeys(objective.criterion.terms, 1 - weight)
    criterion = LossSum(
        objective.criterion,
        TeacherLoss(teacher.model, temperature, similarities=similarities > 0),
        weights={**weights, DISTILLATION: weight, SIMILARITIES: similarities},
    )
    return replace(objective, collate=collate, criterion=criterion)


def frozen(model: Any) -> Any:
    """The model in evaluation mode, without gradients."""
    return model.eval().requires_grad_(False)
