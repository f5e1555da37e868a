"""Candidates that contradict the containing place in the text: "Harris County, Georgia" is not the one in Texas."""

from __future__ import annotations

import numpy as np

from kepipe.arrays import Bools, Ints
from kepipe.linking.candidates.matches import Matches
from kepipe.linking.kb.kinds import KINDS
from kepipe.linking.kb.knowledge import Knowledge
from kepipe.linking.kb.sparse import expand, gather
from kepipe.linking.text.batch import TextBatch

MIN_SIZE_RATIO = 5
"""A container must contain at least this many times (n + 1) places, where n is what the inner place contains itself;
otherwise it is a list ("Italy, Spain")."""
MAX_DEPTH = 4
"""Levels of containment that are followed: town, county, state, country, continent."""


def containment_conflict(batch: TextBatch, matches: Matches, knowledge: Knowledge) -> Bools:
    """Whether each candidate [P] is a place followed by a comma and a wider place in which it does not lie.

    Only candidates whose container is known can conflict. What follows the comma is the longest match there; any of
    its candidates may be the container.
    """
    inner, ends, bounds, held = matches.rows, knowledge.within.indptr, matches.bounds, knowledge.holds
    after = _after_comma(batch, matches)[matches.owners]
    known = ends[inner + 1] > ends[inner]
    asked = np.flatnonzero((after >= 0) & known & _are_places(knowledge, inner))
    followers = after[asked]
    pair, nth = expand(bounds[followers + 1] - bounds[followers])
    outer = inner[bounds[followers[pair]] + nth]
    wider = _are_places(knowledge, outer) & (held[outer] >= MIN_SIZE_RATIO * (1 + held[inner[asked[pair]]]))
    conflict = np.zeros(len(inner), np.bool_)
    conflict[asked[pair[wider]]] = True
    conflict[asked[pair[_lies_in(knowledge, inner[asked[pair]], outer)]]] = False
    return conflict


def _are_places(knowledge: Knowledge, rows: Ints) -> Bools:
    places: Bools = knowledge.kinds[rows] == KINDS.index("place")
    return places


def _after_comma(batch: TextBatch, matches: Matches) -> Ints:
    """The index of the longest match that follows each match after a comma and a space: [M], −1 if there is none."""
    comma = (batch.codes[matches.ends] == ord(",")) & (batch.codes[matches.ends + 1] == ord(" "))
    last = np.searchsorted(matches.starts, matches.ends + 2, "right") - 1
    return np.where(comma & (matches.starts[last] == matches.ends + 2), last, -1)


def _lies_in(knowledge: Knowledge, inner: Ints, outer: Ints) -> Bools:
    """Whether `inner` lies in `outer`, elementwise, over at most `MAX_DEPTH` levels of containment."""
    inside = np.zeros(len(inner), np.bool_)
    asked, reached = np.arange(len(inner)), inner
    for _ in range(MAX_DEPTH):
        nth, containers = gather(knowledge.within, reached)
        steps = np.unique(asked[nth] * len(knowledge.ids) + containers)
        asked, reached = np.divmod(steps, len(knowledge.ids))
        inside[asked[reached == outer[asked]]] = True
    return inside
