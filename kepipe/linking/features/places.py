"""Places that are said to lie where they do not: "Harris County, Georgia" is not the one in Texas."""

from __future__ import annotations

import numpy as np

from kepipe.arrays import Bools, Ints
from kepipe.linking.candidates.matches import Matches
from kepipe.linking.kb.kinds import KINDS
from kepipe.linking.kb.knowledge import Knowledge
from kepipe.linking.kb.sparse import expand, gather
from kepipe.linking.text.batch import TextBatch

WIDER = 5
"""What a place lies in holds so many times what it holds itself, and one more: "Italy, Spain" is a list."""
STEPS = 4
"""A town in a county, in a state, in a country, on a continent."""


def containment_conflict(batch: TextBatch, matches: Matches, knowledge: Knowledge) -> Bools:
    """Whether each candidate [P] is a place in whose text a comma and a wider place follow that it does not lie in.

    It must be known to lie somewhere. What follows is the longest name there, whatever place it may mean.
    """
    inner, ends, bounds, held = matches.rows, knowledge.within.indptr, matches.bounds, knowledge.holds
    after = _after_comma(batch, matches)[matches.owners]
    known = ends[inner + 1] > ends[inner]
    asked = np.flatnonzero((after >= 0) & known & _are_places(knowledge, inner))
    followers = after[asked]
    pair, nth = expand(bounds[followers + 1] - bounds[followers])
    outer = inner[bounds[followers[pair]] + nth]
    wider = _are_places(knowledge, outer) & (held[outer] >= WIDER * (1 + held[inner[asked[pair]]]))
    conflict = np.zeros(len(inner), np.bool_)
    conflict[asked[pair[wider]]] = True
    conflict[asked[pair[_lies_in(knowledge, inner[asked[pair]], outer)]]] = False
    return conflict


def _are_places(knowledge: Knowledge, rows: Ints) -> Bools:
    places: Bools = knowledge.kinds[rows] == KINDS.index("place")
    return places


def _after_comma(batch: TextBatch, matches: Matches) -> Ints:
    """The longest match that begins behind a comma and a blank after each match: [M], −1 where there is none."""
    comma = (batch.codes[matches.ends] == ord(",")) & (batch.codes[matches.ends + 1] == ord(" "))
    last = np.searchsorted(matches.starts, matches.ends + 2, "right") - 1
    return np.where(comma & (matches.starts[last] == matches.ends + 2), last, -1)


def _lies_in(knowledge: Knowledge, inner: Ints, outer: Ints) -> Bools:
    """Whether each of some places lies in another, or in what lies in that, and so on: at most `STEPS` times."""
    inside = np.zeros(len(inner), np.bool_)
    asked, reached = np.arange(len(inner)), inner
    for _ in range(STEPS):
        nth, beyond = gather(knowledge.within, reached)
        steps = np.unique(asked[nth] * len(knowledge.ids) + beyond)
        asked, reached = np.divmod(steps, len(knowledge.ids))
        inside[asked[reached == outer[asked]]] = True
    return inside
