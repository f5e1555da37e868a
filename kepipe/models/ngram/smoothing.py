"""The table of smoothing methods: the share of its context's probability that each n-gram gets, and the distribution of
the remaining mass.

An n-gram hw with count c of a context h with total C = Σ c gets `share(hw)`. Then, with γ(h) the mass that the n-grams
of the context leave,

- interpolated: p(w|h) = share(hw) + γ(h) · p(w|h'), h' the context without its first word;
- backed off: p(w|h) = share(hw) if hw was seen, else α(h) · p(w|h'), α(h) = γ(h) / (1 − Σ_seen p(w|h')).

The first is of the second form with α = γ, so both are stored as in ARPA files. A pruned n-gram has no share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from kepipe.arrays import Floats, Ints

FALLBACK = (0.5, 1.0, 1.5)
"""Discounts of counts 1, 2 and ≥ 3 if the text is too small to estimate them, as in lmplz."""
GOOD_TURING = 5
"""Counts up to this are discounted by Katz; higher ones are reliable (Katz 1987)."""
NOTHING = 1e-9
"""Probability mass below this is a rounding error."""


@dataclass(frozen=True)
class Contexts:
    """N n-grams of an order with their C contexts: `counts` [N] (0 if unseen), `owners` int [N], ascending, the context
    of each; `words`: the size of the predicted vocabulary."""

    counts: Floats
    owners: Ints
    number: int
    words: int

    def total(self, values_N: Floats) -> Floats:
        """The sum over each context's n-grams: [C]."""
        totals_C: Floats = np.bincount(self.owners, values_N, self.number).astype(np.float64, copy=False)
        return totals_C


Share = Callable[[Contexts], Floats]
"""The share of each n-gram in its context's probability, float [N]."""


@dataclass(frozen=True)
class Smoothing:
    """A smoothing method."""

    about: str
    """A description, with its source."""
    fit: Callable[[Sequence[int], float], Share]
    """(the numbers of n-grams of an order with count 0, 1, …, 7; the setting `k`) → the function that computes the
    shares of that order."""
    continuation: bool = False
    """Whether the counts of lower orders are replaced by numbers of distinct previous words."""
    interpolated: bool = True
    """Whether the remaining mass is distributed over all words, or only over unseen ones."""
    lower: bool = True
    """Whether the remaining mass is distributed like the shorter context; otherwise evenly."""


def discounts(numbers: Sequence[int]) -> tuple[float, float, float]:
    """D₁, D₂, D₃₊ of modified Kneser-Ney (Chen & Goodman 1998, eq. 26), from the numbers of n-grams with count 1, 2, 3,
    4 (`numbers[1:5]`): Y = n₁/(n₁+2n₂), D_j = j − (j+1)·Y·n_{j+1}/n_j. FALLBACK if no n-gram has one of the counts 1 to
    3, or if a D is not in [0, j], like lmplz with its fallback option."""
    n = numbers
    if min(n[1:4]) == 0:
        return FALLBACK
    y = n[1] / (n[1] + 2 * n[2])
    found = tuple(j - (j + 1) * y * n[j + 1] / n[j] for j in (1, 2, 3))
    fits = all(0 <= discount <= j for j, discount in enumerate(found, 1))
    return (found[0], found[1], found[2]) if fits else FALLBACK


def _kneser_ney(numbers: Sequence[int], _k: float) -> Share:
    by_count = np.array([0.0, *discounts(numbers)])

    def share(contexts: Contexts) -> Floats:
        counts = contexts.counts
        kept = counts - by_count[np.minimum(counts, 3).astype(np.int64)]
        shares_N: Floats = np.maximum(kept, 0) / contexts.total(counts)[contexts.owners]
        return shares_N

    return share


def _witten_bell(_numbers: Sequence[int], _k: float) -> Share:
    def share(contexts: Contexts) -> Floats:
        kinds = (contexts.counts > 0).astype(np.float64)
        return contexts.counts / contexts.total(contexts.counts + kinds)[contexts.owners]

    return share


def _add_k(_numbers: Sequence[int], k: float) -> Share:
    def share(contexts: Contexts) -> Floats:
        return contexts.counts / (contexts.total(contexts.counts) + k * contexts.words)[contexts.owners]

    return share


def good_turing(numbers: Sequence[int]) -> Floats:
    """The discounted counts d_c · c of counts c from 0 to GOOD_TURING (Katz 1987, eq. 15), from the number of n-grams
    with each count: d_c = (c*/c − a) / (1 − a), c* = (c+1)·n_{c+1}/n_c, a = (k+1)·n_{k+1}/n_1. `k` is the largest value
    up to GOOD_TURING for which all d_c are in (0, 1); if there is none, FALLBACK's first discount is subtracted."""
    n = numbers
    counts = np.arange(GOOD_TURING + 1, dtype=np.float64)
    for k in range(GOOD_TURING, 1, -1):
        if min(n[1 : k + 2]) == 0:
            continue
        a = (k + 1) * n[k + 1] / n[1]
        if a >= 1:
            continue
        kept = [((c + 1) * n[c + 1] / n[c] / c - a) / (1 - a) for c in range(1, k + 1)]
        if all(0 < part < 1 for part in kept):
            counts[1 : k + 1] *= kept
            return counts
    return np.maximum(counts - FALLBACK[0], 0)


def _katz(numbers: Sequence[int], _k: float) -> Share:
    by_count = good_turing(numbers)

    def share(contexts: Contexts) -> Floats:
        counts, owners = contexts.counts, contexts.owners
        low = counts <= GOOD_TURING
        kept = np.where(low, by_count[np.minimum(counts, GOOD_TURING).astype(np.int64)], counts)
        totals = contexts.total(counts)
        # A context with reliable counts only would leave no mass to unseen words.
        full = contexts.total(kept) >= totals * (1 - NOTHING)
        return kept / (totals + full)[owners]

    return share


SMOOTHINGS: Mapping[str, Smoothing] = {
    "kneser-ney": Smoothing(
        "modified Kneser-Ney, interpolated (Chen & Goodman 1998)", _kneser_ney, continuation=True
    ),
    "witten-bell": Smoothing("Witten-Bell, interpolated (Witten & Bell 1991)", _witten_bell),
    "katz": Smoothing("Katz's back-off with Good-Turing discounts (Katz 1987)", _katz, interpolated=False),
    "add-k": Smoothing("k is added to every count; shorter contexts are not used", _add_k, lower=False),
}
"""Name → the method. A new method is a function and a row."""


def described() -> str:
    """The methods with their descriptions, for schema and help."""
    return "; ".join(f"`{name}`: {row.about}" for name, row in SMOOTHINGS.items())


if TYPE_CHECKING:
    SmoothingName = str
else:
    SmoothingName = Literal[tuple(SMOOTHINGS)]
    """The name of a method, as the type of a config's field."""
