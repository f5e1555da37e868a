"""Affinity between the NER label of a mention and the type of a candidate entity."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from kepipe.arrays import Bools, Floats, Ints
from kepipe.linking.features.surroundings import GROUPS
from kepipe.linking.kb.kinds import KINDS

PSEUDO_COUNT = 4.0
"""Pseudo-count of candidates for each pair of NER group and type, and for each type."""


def kind_agreement(groups: Ints, kinds: Ints) -> tuple[Floats, Floats, Floats]:
    """Whether NER group and entity kind are the same, differ, or are a nationality and a place: three arrays [P].

    All are 0 where either is unknown. "German" is a nationality for NER, and often an alias of Germany in a graph.
    """
    known = (groups > 0) & (groups < len(KINDS)) & (kinds > 0)
    national = (KINDS.index("people"), KINDS.index("language"))
    nation = known & np.isin(groups, national) & (kinds == KINDS.index("place"))
    same = known & (groups == kinds)
    return same.astype(float), (known & ~same & ~nation).astype(float), nation.astype(float)


@dataclass(frozen=True)
class Affinity:
    """Log odds that a candidate is right, by NER group and entity type: [groups, types + 1], last column: no type."""

    table: Floats = field(default_factory=lambda: np.zeros((len(GROUPS), 1)))

    @classmethod
    def learn(cls, groups: Ints, types: Ints, right: Bools, count: int) -> Affinity:
        """Estimate from labelled candidates; `types` −1 is no type, `count` the number of types.

        The share of right candidates of a pair is smoothed towards that of its type, and the type's towards that of all
        candidates, each by `PSEUDO_COUNT` pseudo-observations. The result is the log odds of these shares minus the log
        odds over all candidates.
        """
        hits, seen = np.zeros((2, len(GROUPS), count + 1))
        np.add.at(hits, (groups[right], types[right]), 1.0)
        np.add.at(seen, (groups, types), 1.0)
        base = (right.sum() + 0.5) / (len(right) + 1.0)
        of_type = (hits.sum(axis=0) + PSEUDO_COUNT * base) / (seen.sum(axis=0) + PSEUDO_COUNT)
        share = (hits + PSEUDO_COUNT * of_type) / (seen + PSEUDO_COUNT)
        return cls(np.log(share / (1 - share)) - np.log(base / (1 - base)))

    def of(self, groups: Ints, types: Ints) -> Floats:
        """The log odds of each candidate: [P]."""
        odds: Floats = self.table[groups, types % self.table.shape[1]]
        return odds
