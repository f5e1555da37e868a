"""Split very long documents into sections, to bound memory and time per document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TypeVar

from kepipe.data.document import Document, Mention, Span, Turn

LONGEST = 1_000_000
"""Maximum characters of a section."""
_ENDS = ("\n\n", "\n", "。", ". ", " ")
"""Preferred ends of a section, best first: after a paragraph, a line, a sentence, a word."""
S = TypeVar("S", Span, Turn, Mention)


def sections(document: Document, longest: int = LONGEST) -> Iterator[Document]:
    """The document, or if it has more than `longest` characters its sections, with ids `id#1`, `id#2`, ….

    No span is cut; a span that is longer than a section is dropped.
    """
    if len(document.text) <= longest:
        yield document
        return
    start, number = 0, 0
    while start < len(document.text):
        stop = _stop(document, start, longest)
        if document.text[start:stop].strip():
            number += 1
            yield replace(
                document,
                id=f"{document.id}#{number}",
                text=document.text[start:stop],
                sentences=_within(document.sentences, start, stop),
                phrases=_within(document.phrases, start, stop),
                mentions=_within(document.mentions, start, stop),
                gold=_within(document.gold, start, stop),
                turns=_within(document.turns, start, stop),
            )
        start = stop


def _stop(document: Document, start: int, longest: int) -> int:
    """The end (exclusive) of the section that begins at `start`."""
    text, furthest = document.text, start + longest
    if furthest >= len(text):
        return len(text)
    places = (text.rfind(end, start + longest // 2, furthest) + len(end) for end in _ENDS)
    stop = next((place for place in places if place > start + longest // 2), furthest)
    spans: tuple[Iterable[Span | Turn | Mention], ...] = (
        document.turns, document.sentences, document.phrases, document.mentions, document.gold,
    )  # fmt: skip
    for group in spans:
        stop = min((span.start for span in group if start < span.start < stop < span.end), default=stop)
    return stop


def _within(spans: tuple[S, ...], start: int, stop: int) -> tuple[S, ...]:
    return tuple(_move(span, start) for span in spans if start <= span.start and span.end <= stop)


def _move(span: S, start: int) -> S:
    if isinstance(span, Mention):
        return replace(span, start=span.start - start, end=span.end - start)
    return span._replace(start=span.start - start, end=span.end - start)
