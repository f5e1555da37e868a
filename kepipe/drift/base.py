"""The windows of documents to compare, the result of a drift measure, and the row of the table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kepipe.arrays import Bools, Floats
from kepipe.data.document import Document
from kepipe.drift.permutation import MIN_DOCUMENTS, mean_difference, permutation_test


class NotMeasurable(ValueError):
    """A measure cannot be computed on these windows; the message says what is missing."""


@dataclass(frozen=True)
class Windows:
    """Linked documents. `reference`: those the model was trained on; `unseen`: the part of these that was held out;
    `new`: those to test. `model`: the model's folder; `linker`: the folder of the linker that linked all of them.
    """

    reference: Sequence[Document]
    unseen: Sequence[Document]
    new: Sequence[Document]
    model: Path
    linker: Path
    seed: int

    def rng(self, draw: int) -> np.random.Generator:
        """The random generator of a measure; each measure uses its own numbers `draw`."""
        return np.random.default_rng([self.seed, draw])


@dataclass(frozen=True)
class Drift:
    """The result of a measure: its value in both windows, the test statistic, and the p-value."""

    reference: float
    new: float
    statistic: float
    p: float


@dataclass(frozen=True)
class Measure:
    """A row of the table. `about`: what is measured, and its unit."""

    about: str
    statistic: str
    """What `Drift.statistic` is."""
    compare: Callable[[Windows], Drift]
    """Raises NotMeasurable."""


def compare_means(reference_N: Floats, new_M: Floats, rng: np.random.Generator) -> Drift:
    """Compare the means of a value over documents. Documents without the value have nan, and are left out.

    Raises NotMeasurable if fewer than `MIN_DOCUMENTS` documents of a window have the value.
    """
    reference_N, new_M = reference_N[~np.isnan(reference_N)], new_M[~np.isnan(new_M)]
    require_enough(len(reference_N), len(new_M))
    values_N = np.concatenate([reference_N, new_M])
    statistic, p = permutation_test(labels(len(reference_N), len(new_M)), mean_difference(values_N), rng)
    return Drift(float(reference_N.mean()), float(new_M.mean()), statistic, p)


def labels(reference: int, new: int) -> Bools:
    """False for each document of the reference, True for each new one."""
    return np.arange(reference + new) >= reference


def require_enough(reference: int, new: int) -> None:
    """Raise NotMeasurable if a window has fewer than `MIN_DOCUMENTS` documents with the value."""
    if min(reference, new) < MIN_DOCUMENTS:
        raise NotMeasurable(
            f"{reference} reference and {new} new documents have the value; {MIN_DOCUMENTS} are needed in each"
        )
