"""What every objective is: a collator that corrupts rows on the CPU, and a criterion that computes the loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np

    from kepipe.data.batch import Batch, TokenRows
    from kepipe.objectives.losses import HiddenCriterion


class Collator(Protocol):
    """Clean rows → what the model sees and has to restore.

    A function of its arguments alone: no state, so that batch n is the same after a resume.
    """

    def __call__(self, rows: TokenRows, rng: np.random.Generator, progress: float, /) -> Batch:
        """`progress`: share of the training that is done, in 0..1."""
        ...


@dataclass(frozen=True)
class Objective:
    """A corruption, a visibility and a loss."""

    collate: Collator
    criterion: HiddenCriterion
