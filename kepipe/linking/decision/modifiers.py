"""Modifiers of terms: "sporadic renal cell carcinoma" is a renal cell carcinoma.

A terminology does not list every subtype. A subtype that it lacks is linked to the term at its end, and the mention
includes the modifiers. Modifiers are collected from the graph's labels; "breast and ovarian cancer" is one mention too.
"""

from __future__ import annotations

import re
from collections.abc import Container, Sequence

from kepipe.linking.kb.knowledge import Knowledge
from kepipe.linking.kb.links import LinkedSpan
from kepipe.linking.kb.terms import FUNCTION_WORDS

_BEFORE = re.compile(r"(?P<word>[^\W_][\w'/-]*) $")
_AND = re.compile(r"(?P<word>[^\W_][\w'/-]*)(?: and | or | and/or |-)$")
_TYPE = re.compile(r",? type (?:\d{1,2}|[IVX]{1,4})?[A-Ca-c]?\b(?<! )")
_NO_MODIFIERS = FUNCTION_WORDS | frozenset(
    ("adult", "autosomal", "childhood", "common", "dominant", "human", "mild", "recessive", "severe")
)
"""Function words, and modifiers that annotators leave out of a term."""
_MODIFIERS = frozenset(
    re.findall(
        r"\S+",
        "advanced classical familial hereditary inherited isolated metastatic non-syndromic nonsyndromic sporadic "
        "x-linked",
    )
)
"""Modifiers of any disease, in case no label has them."""


def include_modifiers(text: str, linked: Sequence[LinkedSpan], knowledge: Knowledge) -> list[LinkedSpan]:
    """The links of a text, sorted, with those of terms extended by their modifiers and type numbers."""
    widened: list[LinkedSpan] = []
    last = 0
    for span in linked:
        if (
            knowledge.concepts[span.row]
            and text[span.start : span.end] != text[span.start : span.end].upper()
        ):
            start = _start_with_modifiers(text, last, span.start, knowledge.modifiers)
            kind = _TYPE.match(text, span.end)
            span = span._replace(start=start, end=kind.end() if kind else span.end)
        last = span.end
        widened.append(span)
    return widened


def _start_with_modifiers(text: str, last: int, start: int, known: Container[str]) -> int:
    while True:
        before = text[max(last, start - 40) : start]
        match = _AND.search(before) or _BEFORE.search(before)
        if match is None:
            return start
        word = match["word"].lower()
        if word in _NO_MODIFIERS or not (word in known or word in _MODIFIERS):
            return start
        start -= len(before) - match.start("word")
