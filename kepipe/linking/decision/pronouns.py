"""Coreference of "he" and "she": an English pronoun means the nearest preceding person in the text whose gender fits.

Persons are the spans that NER labels PERSON, linked or not, and links to entities of the kind person. If the nearest
fitting person is not linked, the pronoun is not linked either: its referent is not in the graph. Without NER no
pronoun is linked, since persons that the graph lacks would be missed.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from kepipe.arrays import Ints
from kepipe.data.document import Span
from kepipe.linking.kb.genders import FEMALE, MALE, UNKNOWN, Genders
from kepipe.linking.kb.kinds import KINDS
from kepipe.linking.kb.links import LinkedSpan
from kepipe.linking.text.annotations import Annotations, Name

PRONOUN = re.compile(r"\b(?:([Hh]e|[Hh]im|[Hh]is|[Hh]imself)|[Ss]he|[Hh]er|[Hh]ers|[Hh]erself)\b")
_PERSON, _NONE = KINDS.index("person"), KINDS.index("none")


class Reference(NamedTuple):
    """A pronoun with the row and score of its antecedent, and the antecedent's span."""

    pronoun: LinkedSpan
    antecedent: Span


def resolve_pronouns(
    text: str, annotation: Annotations, linked: Sequence[LinkedSpan], kinds: Ints, genders: Genders
) -> list[Reference]:
    """The resolved pronouns of a text, given its sorted links; `kinds`, `genders` [E] of the graph's entities."""
    if annotation.names is None:
        return []
    references: list[Reference] = []
    persons = _persons(annotation, linked, kinds)
    preceding = 0  # how many persons end before the pronoun
    names = _Spans(linked)
    for match in PRONOUN.finditer(text):
        start, end = match.span()
        while preceding < len(persons) and persons[preceding].end <= start:
            preceding += 1
        if names.overlap(start, end):  # "Her", the film
            continue
        gender = MALE if match[1] else FEMALE
        fitting = (
            person
            for person in reversed(persons[:preceding])
            if person.row < 0 or genders[person.row] in (UNKNOWN, gender)
        )
        antecedent = next(fitting, None)
        if antecedent is not None and antecedent.row >= 0:
            pronoun = LinkedSpan(start, end, antecedent.row, antecedent.score)
            references.append(Reference(pronoun, Span(antecedent.start, antecedent.end)))
    return references


def _persons(annotation: Annotations, linked: Sequence[LinkedSpan], kinds: Ints) -> list[LinkedSpan]:
    """The persons named in a text, in order; unlinked ones have row −1."""
    named = [name for name in annotation.names or () if name.label == "PERSON"]
    ner_spans, linked_spans = _Spans(named), _Spans(linked)
    persons = [
        span
        for span in linked
        if kinds[span.row] == _PERSON
        or (kinds[span.row] == _NONE and ner_spans.overlap(span.start, span.end))
    ]
    unlinked = (
        LinkedSpan(name.start, name.end, -1, 0.0)
        for name in named
        if not linked_spans.overlap(name.start, name.end)
    )
    return sorted((*persons, *unlinked))


class _Spans:
    """Sorted spans without overlap."""

    def __init__(self, spans: Sequence[LinkedSpan | Name]) -> None:
        self.starts = [span.start for span in spans]
        self.ends = [span.end for span in spans]

    def overlap(self, start: int, end: int) -> bool:
        """Whether one of them overlaps `start`..`end`."""
        place = bisect_right(self.ends, start)
        return place < len(self.ends) and self.starts[place] < end
