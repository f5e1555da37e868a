"""Candidates by vectors: a span that looks like a term gets the entity whose name has the nearest vector ("hematologic
neoplasms" for hematologic cancer).

Only in graphs of terms: two persons, places or works with similar names are mostly different ones.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence

import numpy as np

from kepipe.data.document import Span
from kepipe.linking.candidates.matches import NEAR, AddedCandidate, Matches, SpanKey, merge
from kepipe.linking.kb.dense import DenseView
from kepipe.linking.kb.knowledge import Knowledge
from kepipe.linking.kb.terms import CATEGORIES, term_spans
from kepipe.linking.text.batch import TextBatch

MIN_COSINE = 0.8
"""Minimum cosine of a span with a name."""
MIN_LENGTH = 9
"""Minimum length of a span of one word, in characters: "liver" is near liver disease, and does not mean it."""
_NUMBER = re.compile(r"\d+|\b[IVX]+\b")
_SEPARATOR = re.compile(r"[ -]")
_SEVERAL = re.compile(r"\w[ -]\w")
_DETERMINER = re.compile(
    r"(?:an?|all|any|both|each|her|his|its|many|most|no|other|our|several|some|such|the|their|these|this|those|that) ",
    re.IGNORECASE,
)


def add_near_names(batch: TextBatch, matches: Matches, knowledge: Knowledge, view: DenseView) -> Matches:
    """The matches of a batch, and spans that are no matches, but near a name in the view. Other graphs than
    terminologies get none.

    The span and the name must have the same numbers: "type 2" is not type 1. No match inside the span may have the
    entity among its candidates: in "severe malaria", the name "malaria" is linked.
    """
    if not knowledge.is_terminology:
        return matches
    known = set(zip(matches.starts.tolist(), matches.ends.tolist(), strict=True))
    spans = {span: batch.text[slice(*span)] for span in _spans(batch, knowledge) if span not in known}
    surfaces = list(dict.fromkeys(spans.values()))
    if not surfaces:
        return matches
    places, cosines = view.nearest(surfaces)
    rows = {
        surface: int(view.name_rows[place])
        for surface, place, cosine in zip(surfaces, places.tolist(), cosines.tolist(), strict=True)
        if cosine >= MIN_COSINE and _numbers(surface) == _numbers(view.names[place])
    }
    added = {
        span: [AddedCandidate(rows[surface], 1.0, NEAR)]
        for span, surface in spans.items()
        if surface in rows and not _has_inside(matches, *span, rows[surface])
    }
    return merge(batch, matches, added)


def _spans(batch: TextBatch, knowledge: Knowledge) -> Iterator[SpanKey]:
    """Noun phrases that end like a term of the graph, without a parser what `term_spans` finds; of several words, or of
    a long one."""
    for text, begin, annotation in zip(batch.texts, batch.begins.tolist(), batch.annotations, strict=False):
        if annotation.phrases:
            found = _phrases(text, annotation.phrases, knowledge.heads)
        else:
            found = term_spans(text, knowledge.modifiers, knowledge.heads)
        for start, end in found:
            if end - start >= MIN_LENGTH or _SEVERAL.search(text, start, end):
                yield start + begin, end + begin


def _phrases(text: str, phrases: Sequence[Span], heads: Container[str]) -> list[tuple[int, int]]:
    found = []
    for start, end in phrases:
        while determiner := _DETERMINER.match(text, start, end):
            start = determiner.end()
        surface = text[start:end].lower()
        if _SEPARATOR.split(surface)[-1] in heads and surface not in CATEGORIES:
            found.append((start, end))
    return found


def _has_inside(matches: Matches, start: int, end: int, row: int) -> bool:
    """Whether a match within `start`..`end` has the entity among its candidates."""
    low, high = np.searchsorted(matches.starts, (start, end)).tolist()
    inside = low + np.flatnonzero(matches.ends[low:high] <= end)
    return bool(np.any(matches.rows[np.isin(matches.owners, inside)] == row))


def _numbers(name: str) -> list[str]:
    return sorted(_NUMBER.findall(name))
