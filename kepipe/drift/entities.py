"""`entities`: how different the entities mentioned in the two windows are.

The statistic is the Jensen-Shannon divergence of entity frequencies, in bits (Lin 1991, eq. 4.1): 0 for equal
frequencies, 1 if no entity is mentioned in both windows.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from kepipe.arrays import Bools, Floats
from kepipe.drift.base import Drift, Windows, labels, require_enough
from kepipe.drift.permutation import permutation_test

MOST = 2000
"""Number of most frequent entities that are counted separately; the others count as one."""


def compare(windows: Windows) -> Drift:
    """`reference` and `new` are mean numbers of mentions per document. Raises NotMeasurable if too few documents have
    any."""
    named = [Counter(m.entity for m in document.mentions) for document in (*windows.reference, *windows.new)]
    new_N = labels(len(windows.reference), len(windows.new))
    with_any_N = np.array([bool(counts) for counts in named])
    require_enough(int((with_any_N & ~new_N).sum()), int((with_any_N & new_N).sum()))
    total: Counter[str] = Counter()
    for counts in named:
        total.update(counts)
    column = {entity: number for number, (entity, _) in enumerate(total.most_common(MOST))}
    counts_NE = np.zeros((len(named), MOST + 1 if len(total) > MOST else len(column)))
    for row, counts in enumerate(named):
        for entity, count in counts.items():
            counts_NE[row, column.get(entity, MOST)] += count
    statistic, p = permutation_test(new_N[with_any_N], _JensenShannon(counts_NE[with_any_N]), windows.rng(7))
    mentions_N = counts_NE.sum(1)
    return Drift(float(mentions_N[~new_N].mean()), float(mentions_N[new_N].mean()), statistic, p)


class _JensenShannon:
    """Assignments [P, N] → their divergences, float [P]."""

    def __init__(self, counts_NE: Floats) -> None:
        self._counts_NE = counts_NE

    def __call__(self, assigned_PN: Bools) -> Floats:
        new_PE = assigned_PN.astype(np.float64) @ self._counts_NE
        before_PE = self._counts_NE.sum(0) - new_PE
        shares = [counts / np.maximum(counts.sum(1, keepdims=True), 1) for counts in (new_PE, before_PE)]
        middle_PE = (shares[0] + shares[1]) / 2
        return sum((_kl_divergence(share, middle_PE) for share in shares), np.zeros(len(assigned_PN))) / 2


def _kl_divergence(share_PE: Floats, middle_PE: Floats) -> Floats:
    """Σ p log₂ (p / m) with 0 log 0 = 0, float [P]."""
    ratio_PE = np.where(share_PE > 0, share_PE / np.where(middle_PE > 0, middle_PE, 1), 1)
    found_P: Floats = (share_PE * np.log2(ratio_PE)).sum(1)
    return found_P
