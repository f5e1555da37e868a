"""What is minimised: named terms, each a mean over places that a batch alone tells the number of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor

from kepipe.data.batch import Batch

Losses = dict[str, Tensor]
"""Term or metric → its mean, a scalar."""


class Criterion(Protocol):
    """A loss of several terms; what is minimised is their sum.

    A term is a *mean* over places (tokens for a language model, rows for next-sentence prediction). `counts` says over
    how many, from the batch alone and before the model runs, so that the batches that make up one update, on one
    machine or on many, are averaged exactly as if they were one. A term that not all of these batches have weighs by
    the share of them that have it.
    """

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the parts of the loss."""
        ...

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of what is logged beside the terms and not minimised, such as an accuracy: means with counts too."""
        ...

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """Term or metric → number of places of this batch over which it is a mean. Absent is what such a batch has
        nothing to say of at all, as the terms of a mixture's other objectives."""
        ...

    def __call__(self, model: Any, batch: Batch) -> Losses:
        """Each mean; 0, never NaN, where there is no place. `model` is what the training was given."""
        ...
