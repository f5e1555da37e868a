"""He and she: an English pronoun means the nearest person named before it, in the same text, whose gender fits.

Who is named before is what NER takes for a person, linked or not, and linked names of entities that are persons. If
that person is not linked, neither is the pronoun: the graph does not have whom it means. Without NER nothing is linked
so, since unknown persons would be overlooked.
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
    """A pronoun, with row and score of the name that it stands for, and where that name is."""

    pronoun: LinkedSpan
    antecedent: Span


def resolve_pronouns(
    text: str, annotation: Annotations, linked: Sequence[LinkedSpan], kinds: Ints, genders: Genders
) -> list[Reference]:
    """The pronouns of a text whose persons are `linked`, in order; `kinds`, `genders` [E] of the graph's entities."""
    if annotation.names is None:
        return []
    references: list[Reference] = []
    persons = _persons(annotation, linked, kinds)
    seen = 0
    names = _Spans(linked)
    for match in PRONOUN.finditer(text):
        start, end = match.span()
        while seen < len(persons) and persons[seen].end <= start:
            seen += 1
        if names.touch(start, end):  # "Her", the film
            continue
        gender = MALE if match[1] else FEMALE
        fitting = (
            person
            for person in reversed(persons[:seen])
            if person.row < 0 or genders[person.row] in (UNKNOWN, gender)
        )
        meant = next(fitting, None)
        if meant is not None and meant.row >= 0:
            pronoun = LinkedSpan(start, end, meant.row, meant.score)
            references.append(Reference(pronoun, Span(meant.start, meant.end)))
    return references


def _persons(annotation: Annotations, linked: Sequence[LinkedSpan], kinds: Ints) -> list[LinkedSpan]:
    """The persons named in a text, in order; who is not linked has row −1."""
    named = [name for name in annotation.names or () if name.label == "PERSON"]
    by_ner, by_us = _Spans(named), _Spans(linked)
    persons = [
        span
        for span in linked
        if kinds[span.row] == _PERSON or (kinds[span.row] == _NONE and by_ner.touch(span.start, span.end))
    ]
    unlinked = (
        LinkedSpan(name.start, name.end, -1, 0.0) for name in named if not by_us.touch(name.start, name.end)
    )
    return sorted((*persons, *unlinked))


class _Spans:
    """Spans in order, without overlap."""

    def __init__(self, spans: Sequence[LinkedSpan | Name]) -> None:
        self.starts = [span.start for span in spans]
        self.ends = [span.end for span in spans]

    def touch(self, start: int, end: int) -> bool:
        """Whether one of them has a character of `start`..`end`."""
        place = bisect_right(self.ends, start)
        return place < len(self.ends) and self.starts[place] < end
