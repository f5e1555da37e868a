"""What every objective is: a corruption on the CPU and a loss on the device."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Protocol

import numpy as np
from torch import Tensor

from kepipe.data.batch import Batch, TokenRows

if TYPE_CHECKING:
    from kepipe.models.transformer import Transformer


class Objective(Protocol):
    """A corruption, a visibility and a loss.

    `terms` names the parts of the loss; what is minimised is their sum. A term is a *mean* over places
    (tokens for a language model, rows for next-sentence prediction). `counts` says over how many, from the
    batch alone and before the model runs, so that batches that make up one step, on one machine or on many,
    are averaged exactly as if they were one. A term that not all of these batches have weighs by the share of
    them that have it.
    """

    @property
    def terms(self) -> tuple[str, ...]: ...

    def corrupt(self, rows: TokenRows, rng: np.random.Generator, progress: float) -> Batch:
        """What the model sees and has to restore; `progress` in 0..1 is the share of the training done.

        A function of its arguments alone: no state, so that batch n is the same after a resume.
        """
        ...

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """Term → number of places of this batch over which it is a mean; absent is a term that such a
        batch does not learn at all, as those of a mixture's other objectives."""
        ...

    def loss(self, model: Transformer, batch: Batch) -> dict[str, Tensor]:
        """Term → its mean, a scalar; 0, never NaN, for a term that has no place. So too for each measure."""
        ...


def measures(objective: Objective) -> tuple[str, ...]:
    """What an objective tells besides its terms, such as an accuracy: logged as they are, and not minimised.

    An objective that has some names them in an attribute `measures`; they are means with counts, as terms are.
    """
    named: tuple[str, ...] = getattr(objective, "measures", ())
    return named
