"""What is compared, and what a measure of drift finds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kepipe.arrays import Bools, Floats
from kepipe.data.document import Document
from kepipe.drift.permutation import FEWEST, apart, tested


class NothingToTell(ValueError):
    """A measure has too little to go by; the message says what is missing."""


@dataclass(frozen=True)
class Windows:
    """Linked documents: those a model was trained on (`unseen`: the part held out from it), and those that are new.

    `model`: its folder. `linker`: the folder of the linker that linked both.
    """

    reference: Sequence[Document]
    unseen: Sequence[Document]
    new: Sequence[Document]
    model: Path
    linker: Path
    seed: int

    def rng(self, draw: int) -> np.random.Generator:
        """The generator of a measure, whose `draw` is its own."""
        return np.random.default_rng([self.seed, draw])


@dataclass(frozen=True)
class Drift:
    """What a measure found: its value in both windows, the statistic between them, and the p-value of that."""

    reference: float
    new: float
    statistic: float
    p: float


@dataclass(frozen=True)
class Measure:
    """A row of the table: what it measures in one sentence, in which unit, and how."""

    about: str
    statistic: str
    """What `Drift.statistic` is."""
    compare: Callable[[Windows], Drift]
    """Raises NothingToTell."""


def compare_means(reference_N: Floats, new_M: Floats, rng: np.random.Generator) -> Drift:
    """The means of a value over documents; a document without the value is nan, and left out.

    Raises NothingToTell where fewer than `FEWEST` documents of a window have one.
    """
    reference_N, new_M = reference_N[~np.isnan(reference_N)], new_M[~np.isnan(new_M)]
    require(len(reference_N), len(new_M))
    values_N = np.concatenate([reference_N, new_M])
    statistic, p = tested(labels(len(reference_N), len(new_M)), apart(values_N), rng)
    return Drift(float(reference_N.mean()), float(new_M.mean()), statistic, p)


def labels(reference: int, new: int) -> Bools:
    """False for each document of the reference, True for each new one."""
    return np.arange(reference + new) >= reference


def require(reference: int, new: int) -> None:
    """Raise NothingToTell for windows that are too small."""
    if min(reference, new) < FEWEST:
        raise NothingToTell(f"{reference} documents before and {new} new ones have it, fewer than {FEWEST}")
