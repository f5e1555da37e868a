"""Which n-grams are left out, by how often they stand in the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Pruning:
    """`thresholds[n − 1]`: the count up to which n-grams of order n are left out; 0: none. Not falling, so that what
    remains has its prefix and its suffix among what remains; 0 for order 1."""

    thresholds: tuple[int, ...]

    @classmethod
    def of(cls, given: Sequence[int], order: int) -> Pruning:
        """`given`: as lmplz takes them, the last one for all higher orders. Raises ValueError for what cannot be."""
        if len(given) > order:
            raise ValueError(f"prune: {len(given)} thresholds, and n-grams of order {order} at most")
        found = [*given, *[given[-1] if given else 0] * (order - len(given))]
        if found != sorted(found) or min(found) < 0:
            raise ValueError(f"prune: expected thresholds that do not fall, not {found}")
        if found[0]:
            raise ValueError(f"prune: words are not left out: expected 0 for order 1, not {found[0]}")
        return cls(tuple(found))
