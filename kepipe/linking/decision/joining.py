"""A place and its container as one mention: "Lille, France" means Lille.

Some annotators mark the whole as a mention of the town, others mark two mentions. A linker learns this from its gold
sets; without any, it links two mentions.
"""

from __future__ import annotations

from collections.abc import Iterable

from kepipe.linking.kb.knowledge import Knowledge
from kepipe.linking.kb.links import UNKNOWN, Link, LinkedSpan
from kg.lexicon import Lexicon

COMMA = ", "


def join(text: str, linked: Iterable[LinkedSpan], knowledge: Knowledge) -> list[LinkedSpan]:
    """The links of a text, sorted, with those of a place and of its container merged into one."""
    joined: list[LinkedSpan] = []
    last = -1  # the row of the previous link: "Lille, Nord, France" continues from Nord
    for span in sorted(linked):
        before = joined[-1] if joined else None
        if before and text[before.end : span.start] == COMMA and knowledge.lies_in(last, span.row):
            joined[-1] = before._replace(end=span.end)
        else:
            joined.append(span)
        last = span.row
    return joined


def _split(text: str, link: Link, knowledge: Knowledge, lexicon: Lexicon) -> tuple[Link, Link] | None:
    """A gold link of a place with its container, split into two, the second with row UNKNOWN; None if it is not one."""
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
    """Gold links with those of a place and its container split in two, as training needs them."""
    return [part for link in links for part in _split(text, link, knowledge, lexicon) or (link,)]


def marks_joined(texts: Iterable[tuple[str, Iterable[Link]]], knowledge: Knowledge, lexicon: Lexicon) -> bool:
    """Whether most places that are followed by their container are marked together with it."""
    joined = separate = 0
    for text, links in texts:
        before: Link | None = None
        for link in links:
            joined += _split(text, link, knowledge, lexicon) is not None
            separate += (
                before is not None
                and min(before.row, link.row) >= 0
                and text[before.end : link.start] == COMMA
                and knowledge.lies_in(before.row, link.row)
            )
            before = link
    return joined > separate
