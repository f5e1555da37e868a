"""What every objective is: a collator that corrupts rows on the CPU, and a criterion that computes the loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from kepipe.data.batch import Batch, TokenRows
    from kepipe.training.criterion import Criterion

    Collator = Callable[[TokenRows, np.random.Generator, float], Batch]
    """(clean rows, generator, share of the training done in 0..1) → what the model sees and has to restore.

    A function of its arguments alone: no state, so that batch n is the same after a resume.
    """


@dataclass(frozen=True)
class Objective:
    """A corruption, a visibility and a loss."""

    collate: Collator
    criterion: Criterion
