"""Rows of a method's own table for the entities of mentions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from kepipe.arrays import Ints
    from kepipe.data.batch import Mentions


class EntityLookup:
    """Maps entities, given as indices into a list of ids, to rows of the method's own table.

    The rows of the last list of ids are cached. Thread-safe.
    """

    def __init__(self, find: Callable[[Sequence[str]], Ints]) -> None:
        """`find`: ids → the row of each, −1 if it is not in the table."""
        self._find = find
        self._known: tuple[Sequence[str], Ints] | None = None

    def rows(self, mentions: Mentions) -> Ints:
        """The row of each mention's entity, int [M]; −1: none."""
        rows = self.rows_of(mentions.ids)
        return rows[mentions.entities]  # an entity −1 takes the −1 at the end

    def rows_of(self, ids: Sequence[str]) -> Ints:
        """The row of each id, followed by −1: int [ids + 1]."""
        known = self._known
        if known is None or known[0] is not ids:
            known = self._known = (ids, np.append(self._find(ids), -1).astype(np.int64))
        return known[1]
