"""`entities`: how far apart the entities are that both windows name.

The statistic is the Jensen-Shannon divergence of their frequencies in bits (Lin 1991, eq. 4.1): 0 where they are the
same, 1 where no entity is named in both.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from kepipe.arrays import Bools, Floats
from kepipe.drift.base import Drift, Windows, labels, require
from kepipe.drift.permutation import tested

MOST = 2000
"""Entities that are told apart; the rarer ones count as one."""


def compare(windows: Windows) -> Drift:
    """`reference` and `new` are how many mentions a document has. Raises NothingToTell where too few name any."""
    named = [Counter(m.entity for m in document.mentions) for document in (*windows.reference, *windows.new)]
    new_N = labels(len(windows.reference), len(windows.new))
    with_any_N = np.array([bool(counts) for counts in named])
    require(int((with_any_N & ~new_N).sum()), int((with_any_N & new_N).sum()))
    total: Counter[str] = Counter()
    for counts in named:
        total.update(counts)
    column = {entity: number for number, (entity, _) in enumerate(total.most_common(MOST))}
    counts_NE = np.zeros((len(named), MOST + 1 if len(total) > MOST else len(column)))
    for row, counts in enumerate(named):
        for entity, count in counts.items():
            counts_NE[row, column.get(entity, MOST)] += count
    statistic, p = tested(new_N[with_any_N], _divergences(counts_NE[with_any_N]), windows.rng(7))
    mentions_N = counts_NE.sum(1)
    return Drift(float(mentions_N[~new_N].mean()), float(mentions_N[new_N].mean()), statistic, p)


class _divergences:  # noqa: N801
    """Assignments [P, N] → the divergence of each, float [P]."""

    def __init__(self, counts_NE: Floats) -> None:
        self._counts_NE = counts_NE

    def __call__(self, assigned_PN: Bools) -> Floats:
        new_PE = assigned_PN.astype(np.float64) @ self._counts_NE
        before_PE = self._counts_NE.sum(0) - new_PE
        shares = [counts / np.maximum(counts.sum(1, keepdims=True), 1) for counts in (new_PE, before_PE)]
        middle_PE = (shares[0] + shares[1]) / 2
        return sum((_relative(share, middle_PE) for share in shares), np.zeros(len(assigned_PN))) / 2


def _relative(share_PE: Floats, middle_PE: Floats) -> Floats:
    """Σ p log₂ (p / m), where 0 log 0 is 0."""
    ratio_PE = np.where(share_PE > 0, share_PE / np.where(middle_PE > 0, middle_PE, 1), 1)
    found_P: Floats = (share_PE * np.log2(ratio_PE)).sum(1)
    return found_P
