"""Matches: the spans of a text that may be mentions, with their candidate entities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kepipe.arrays import Bools, Floats, Ints

WHOLE, SHORT, LAST, FIRST = range(4)
"""Source of a candidate: WHOLE, a name of the graph; SHORT, a short form of a full name in the text, or an abbreviation
that the text defines (`shortforms`); LAST, FIRST, the last or first name of a person whose full name is not in the text
(`bare_names`)."""


class AddedCandidate(NamedTuple):
    """A candidate whose surface is not a name of the graph: entity row, p(entity | name), and source (SHORT …)."""

    row: int
    prior: float
    source: int


@dataclass(frozen=True)
class Matches:
    """M spans of a text that may be mentions, sorted by start, then end, and their P candidates.

    `starts`, `ends`: [M] character offsets in the raw text; `surfaces`: [M] normalised surface forms. Candidate p
    belongs to match `owners[p]`, has row `rows[p]` in the graph and p(entity | name) `priors[p]`; candidates of a match
    are contiguous, likeliest first. `labels` [P]: the surface is the label of the candidate; `sources` [P]: the source
    of the candidate (WHOLE, SHORT, LAST, FIRST). `outside` [M]: the span is a short form of a full name whose entity is
    not in the graph.
    """

    starts: Ints
    ends: Ints
    surfaces: Sequence[str]
    owners: Ints
    rows: Ints
    priors: Floats
    labels: Bools
    sources: npt.NDArray[np.int8]
    outside: Bools

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def bounds(self) -> Ints:
        """Offsets into the candidates: those of match m are `bounds[m]` … `bounds[m + 1]` − 1: [M + 1]."""
        return np.searchsorted(self.owners, np.arange(len(self) + 1))
