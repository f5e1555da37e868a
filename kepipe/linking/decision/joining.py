"""A place and what it lies in, as one mention: "Lille, France" means Lille.

Some people mark the whole as a name of the town, others mark two names. Which it is, a linker learns from its gold
sets; without any it links two.
"""

from __future__ import annotations

from collections.abc import Iterable

from kepipe.linking.kb.knowledge import Knowledge
from kepipe.linking.kb.links import UNKNOWN, Link, LinkedSpan
from kg.lexicon import Lexicon

COMMA = ", "


def join(text: str, linked: Iterable[LinkedSpan], knowledge: Knowledge) -> list[LinkedSpan]:
    """The links of a text, in order, those of a place and of what it lies in made one."""
    joined: list[LinkedSpan] = []
    last = -1  # the row of what is named last: "Lille, Nord, France" goes on from Nord
    for span in sorted(linked):
        before = joined[-1] if joined else None
        if before and text[before.end : span.start] == COMMA and knowledge.lies_in(last, span.row):
            joined[-1] = before._replace(end=span.end)
        else:
            joined.append(span)
        last = span.row
    return joined


def _split(text: str, link: Link, knowledge: Knowledge, lexicon: Lexicon) -> tuple[Link, Link] | None:
    """A given link of both taken apart, the second of unknown entity; None where it is no such link."""
    name, *outer = text[link.start : link.end].split(COMMA)
    if not outer or not any(row == link.row for row, _ in lexicon.candidates(name)):
        return None
    within = {link.row}
    for place in outer:
        within = {
            row
            for row, _ in lexicon.candidates(place)
            if any(knowledge.lies_in(inner, row) for inner in within)
        }
    if not within:
        return None
    rest = COMMA.join(outer)
    return Link(link.start, link.start + len(name), link.row), Link(link.end - len(rest), link.end, UNKNOWN)


def split_joined(text: str, links: Iterable[Link], knowledge: Knowledge, lexicon: Lexicon) -> list[Link]:
    """Given links, those of a place and what it lies in as two: what they are to be learned as."""
    return [part for link in links for part in _split(text, link, knowledge, lexicon) or (link,)]


def marks_joined(texts: Iterable[tuple[str, Iterable[Link]]], knowledge: Knowledge, lexicon: Lexicon) -> bool:
    """Whether most of the places that stand before what they lie in are marked together with it."""
    whole = apart = 0
    for text, links in texts:
        before: Link | None = None
        for link in links:
            whole += _split(text, link, knowledge, lexicon) is not None
            apart += (
                before is not None
                and min(before.row, link.row) >= 0
                and text[before.end : link.start] == COMMA
                and knowledge.lies_in(before.row, link.row)
            )
            before = link
    return whole > apart
