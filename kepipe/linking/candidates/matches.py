"""The names found in a text and the entities that each may mean."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kepipe.arrays import Bools, Floats, Ints

WHOLE, SHORT, LAST, FIRST = range(4)
"""A name of the graph; a short form of what the text names in full, or an abbreviation that it defines (`shortforms`);
the last and the first name of somebody whom it does not (`bare_names`)."""


class Given(NamedTuple):
    """A candidate that is no name of the graph: its row, p(entity | name), and how it came."""

    row: int
    prior: float
    short: int


@dataclass(frozen=True)
class Matches:
    """M stretches of a text that are names, in order of start, then end, and their P candidates.

    `starts`, `ends`: [M] characters of the raw text; `surfaces`: [M] normalised. Candidate p belongs to match
    `owners[p]`, has row `rows[p]` in the graph and p(entity | name) `priors[p]`; candidates of a match stand
    together, likeliest first. `labels` [P]: the surface is the label of the candidate; `short` [P]: whether it is
    only a part of the candidate's name, and how the candidate came (WHOLE, SHORT, LAST, FIRST). `outside` [M]: a
    part of the full name of something that the graph lacks.
    """

    starts: Ints
    ends: Ints
    surfaces: Sequence[str]
    owners: Ints
    rows: Ints
    priors: Floats
    labels: Bools
    short: npt.NDArray[np.int8]
    outside: Bools

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def bounds(self) -> Ints:
        """Where the candidates of each match begin and those of the last end: [M + 1]."""
        return np.searchsorted(self.owners, np.arange(len(self) + 1))
