"""The loss: a sum of named terms, each a mean over a number of places that is known from the batch alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from torch import Tensor

from kepipe.data.batch import Batch

Losses = dict[str, Tensor]
"""Term or metric → its mean, a scalar."""


class Criterion(Protocol):
    """A loss of several terms; their sum is minimised.

    A term is a *mean* over places (tokens for a language model, rows for next-sentence prediction). `counts` gives
    their number from the batch alone, before the model runs, so that the micro-batches of an update, on one machine or
    on many, are averaged exactly as if they were one batch. A term that only some of the micro-batches have is weighted
    by their share.
    """

    @property
    def terms(self) -> tuple[str, ...]:
        """Names of the parts of the loss."""
        ...

    @property
    def metrics(self) -> tuple[str, ...]:
        """Names of values that are logged but not minimised, such as an accuracy: means with counts, as terms are."""
        ...

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """Term or metric → number of places of this batch over which it is a mean. A term that does not apply to the
        batch, such as one of another objective of a mixture, is absent."""
        ...

    def __call__(self, model: Any, batch: Batch) -> Losses:
        """Term or metric → mean; 0, never NaN, where there is no place. `model`: the model being trained."""
        ...
