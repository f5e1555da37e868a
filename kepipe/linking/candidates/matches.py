"""Matches: the spans of a text that may be mentions, with their candidate entities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kepipe.arrays import Bools, Floats, Ints
from kepipe.linking.text.batch import TextBatch

WHOLE, SHORT, LAST, FIRST, NEAR = range(5)
"""Source of a candidate: WHOLE, a name of the graph; SHORT, a short form of a full name in the text, or an abbreviation
that the text defines (`shortforms`); LAST, FIRST, the last or first name of a person whose full name is not in the text
(`bare_names`); NEAR, a name whose vector is near that of the span (`near_names`)."""
SpanKey = tuple[int, int]
"""Start and end, batch offsets."""


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
    of the candidate (WHOLE, SHORT, LAST, FIRST, NEAR). `outside` [M]: the span is a short form of a full name whose
    entity is not in the graph.
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


def merge(
    batch: TextBatch,
    matches: Matches,
    added: Mapping[SpanKey, list[AddedCandidate]],
    outside: Set[SpanKey] = frozenset(),
) -> Matches:
    """The matches with added candidates.

    The priors of existing candidates of the same span are multiplied by 1 − the sum of the added ones. An entity that
    is among both keeps only the added candidate. Where a span has no other candidates, the added priors are normalised
    to sum to 1. `outside`: spans that are marked as in `Matches.outside`; those that are no match are ignored, and
    earlier marks are kept.
    """
    known = list(zip(matches.starts.tolist(), matches.ends.tolist(), strict=True))
    outside = outside & set(known)
    if not added and not outside:
        return matches
    spans = sorted({*known, *added})
    index = {span: number for number, span in enumerate(spans)}
    new_index = np.asarray([index[span] for span in known], np.int64)
    owners = new_index[matches.owners]
    added_share = np.zeros(len(spans))
    for span, candidates in added.items():
        added_share[index[span]] = sum(candidate.prior for candidate in candidates)
    flat = [candidate for candidates in added.values() for candidate in candidates]
    new_owners = np.asarray([index[span] for span, candidates in added.items() for _ in candidates], np.int64)
    new_rows = np.asarray([candidate.row for candidate in flat], np.int64)
    new_priors = np.asarray([candidate.prior for candidate in flat], np.float64)
    new_spans = ~np.isin(new_owners, owners)
    new_priors[new_spans] /= added_share[new_owners[new_spans]]
    duplicate = np.isin(owners * (1 << 40) + matches.rows, new_owners * (1 << 40) + new_rows)
    priors = matches.priors * (1 - added_share)[owners]
    is_outside = np.zeros(len(spans), np.bool_)
    is_outside[new_index] = matches.outside
    is_outside[[index[span] for span in outside]] = True
    owners = np.concatenate((owners[~duplicate], new_owners))
    rows = np.concatenate((matches.rows[~duplicate], new_rows))
    priors = np.concatenate((priors[~duplicate], new_priors))
    labels = np.concatenate((matches.labels[~duplicate], np.zeros(len(new_rows), np.bool_)))
    sources = np.concatenate((matches.sources[~duplicate], [candidate.source for candidate in flat]))
    order = np.lexsort((-priors, owners))
    surfaces = dict(zip(known, matches.surfaces, strict=True))
    starts, ends = np.asarray(spans, np.int64).T
    return Matches(
        starts,
        ends,
        [surfaces.get(span, batch.text[slice(*span)]) for span in spans],
        owners[order],
        rows[order],
        priors[order],
        labels[order],
        sources[order],
        is_outside,
    )
