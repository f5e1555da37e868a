"""Pruning of n-grams by their counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Pruning:
    """`thresholds[n − 1]`: maximum count of the n-grams of order n that are pruned; 0: none. Non-decreasing, so that
    the prefix and the suffix of a remaining n-gram remain as well; 0 for order 1."""

    thresholds: tuple[int, ...]

    @classmethod
    def of(cls, given: Sequence[int], order: int) -> Pruning:
        """`given`: as for lmplz, the last threshold applies to all higher orders. Raises ValueError for invalid
        thresholds."""
        if len(given) > order:
            raise ValueError(f"prune: {len(given)} thresholds for n-grams of at most order {order}")
        found = [*given, *[given[-1] if given else 0] * (order - len(given))]
        if found != sorted(found) or min(found) < 0:
            raise ValueError(f"prune: expected non-decreasing thresholds, not {found}")
        if found[0]:
            raise ValueError(f"prune: words are never pruned: expected 0 for order 1, not {found[0]}")
        return cls(tuple(found))
