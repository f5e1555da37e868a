"""How well what NER takes a name for goes with the type of an entity."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from kepipe.arrays import Bools, Floats, Ints
from kepipe.linking.features.surroundings import GROUPS
from kepipe.linking.kb.kinds import KINDS

DRAW = 4.0
"""How many candidates more are taken to have been seen of each pair of group and type."""


def agree(groups: Ints, kinds: Ints) -> tuple[Floats, Floats, Floats]:
    """Whether NER's group and the entity's kind are the same, differ, or are a nationality and a place: each [P].

    All are 0 where either is unknown. "German" is a nationality to NER, and often Germany to a graph.
    """
    known = (groups > 0) & (groups < len(KINDS)) & (kinds > 0)
    national = (KINDS.index("people"), KINDS.index("language"))
    nation = known & np.isin(groups, national) & (kinds == KINDS.index("place"))
    same = known & (groups == kinds)
    return same.astype(float), (known & ~same & ~nation).astype(float), nation.astype(float)


@dataclass(frozen=True)
class Affinity:
    """How well a type of entity goes with what NER saw: log odds [groups, types + 1], last column no type."""

    table: Floats = field(default_factory=lambda: np.zeros((len(GROUPS), 1)))

    @classmethod
    def learn(cls, groups: Ints, types: Ints, right: Bools, count: int) -> Affinity:
        """From candidates whose truth is known; `types` −1 is no type, `count` the number of types.

        A pair's share of right candidates is drawn towards that of its type, and the type's towards that of all
        candidates, each as if `DRAW` more had been seen; of these shares the log odds, less those of all.
        """
        hits, seen = np.zeros((2, len(GROUPS), count + 1))
        np.add.at(hits, (groups[right], types[right]), 1.0)
        np.add.at(seen, (groups, types), 1.0)
        base = (right.sum() + 0.5) / (len(right) + 1.0)
        of_type = (hits.sum(axis=0) + DRAW * base) / (seen.sum(axis=0) + DRAW)
        share = (hits + DRAW * of_type) / (seen + DRAW)
        return cls(np.log(share / (1 - share)) - np.log(base / (1 - base)))

    def of(self, groups: Ints, types: Ints) -> Floats:
        """The log odds of each candidate: [P]."""
        odds: Floats = self.table[groups, types % self.table.shape[1]]
        return odds
