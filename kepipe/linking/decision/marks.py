"""What counts as a mention: the manner in which people mark names, apart from what the names mean.

One gold set marks roles ("lecturer"), nationalities, pronouns, "the" before a name, or a place together with what it
lies in; another does not. Which of these are links is chosen by name (`MANNERS`), or learned from a gold set
(`learned`); no weight of the ranker tells.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from kepipe.arrays import Bools
from kepipe.linking.candidates.matches import Matches
from kepipe.linking.features.surroundings import INSIDE, name_relations, within
from kepipe.linking.kb.knowledge import Knowledge
from kepipe.linking.kb.links import Link, LinkedSpan
from kepipe.linking.kb.nations import DEMONYMS
from kepipe.linking.text.batch import TextBatch

_CALENDAR = frozenset(
    re.findall(
        r"\S+",
        "January February March April May June July August September October November December Monday Tuesday "
        "Wednesday Thursday Friday Saturday Sunday",
    )
)
Manner = Literal["names", "wiki", "everything"]
SWITCHES = ("concepts", "roles", "nationalities", "nested", "dates")
"""What is told of each candidate; the others concern the links of a text."""


@dataclass(frozen=True)
class Marks:
    """`concepts`: what is written in small letters ("insurance"), None: only in a graph of terms
    (`Knowledge.is_terminology`); `roles`: concepts that a person can be ("lecturer"), None as before; `nationalities`:
    "Dutch" means Netherlands; `nested`: names inside a longer stretch that NER takes for one name; `pronouns`: "he" and
    "she"; `joined`: "Lille, France" is one mention, None: only where it is a name of the graph; `dates`: months, days;
    `modifiers`: "sporadic renal cell carcinoma", which the graph lacks, means renal cell carcinoma, None: only in
    a graph of terms; `articles`: "the" before a name belongs to it.
    """

    concepts: bool | None = None
    roles: bool | None = None
    nationalities: bool = True
    nested: bool = False
    pronouns: bool = False
    joined: bool | None = None
    dates: bool = False
    modifiers: bool | None = None
    articles: bool = False

    def to_json(self) -> dict[str, bool | None]:
        """Plain data."""
        return asdict(self)

    def kinds(self) -> list[str]:
        """The kinds that are marked besides names."""
        return [
            name
            for name in ("concepts", "roles", "nationalities", "nested", "dates", "articles")
            if getattr(self, name)
        ]

    def allows(self, batch: TextBatch, matches: Matches, knowledge: Knowledge) -> Bools:
        """Which candidates [P] are of a kind that is marked."""
        allowed = np.ones(len(matches.rows), np.bool_)
        for switch in SWITCHES:
            wanted = getattr(self, switch)
            if wanted is None:
                wanted = knowledge.is_terminology
            if not wanted:
                allowed &= ~_of_kind(switch, batch, matches, knowledge)
        if self.joined is False:
            allowed &= ~_begins_with_own_name(matches, ", ", 0)
        if not self.articles:
            allowed &= ~_begins_with_own_name(matches, "the ", 1)
        return allowed


MANNERS: Mapping[Manner, Marks] = {
    "names": Marks(),
    "wiki": Marks(roles=True, nested=True, pronouns=True, joined=True),
    "everything": Marks(concepts=True, roles=True, nested=True, dates=True),
}
"""Names, and terms where the graph is one of terms; as the articles of Wikipedia are marked by those who mark all that
has a page of its own; all that the graph has, pronouns left out, which name nothing."""
NAMES = MANNERS["names"]


def _begins_with_own_name(matches: Matches, cut: str, side: int) -> Bools:
    """Which candidates [P] have a shorter name within the match too: what stands before (side 0) or behind (1) `cut`.

    "Toronto, Ontario" and "the US" are aliases, and the places are called Toronto and US.
    """
    longer = [number for number, surface in enumerate(matches.surfaces) if cut in surface]
    has = np.zeros(len(matches.rows), np.bool_)
    if not longer:
        return has
    bounds = matches.bounds
    at = {
        place: number
        for number, place in enumerate(zip(matches.starts.tolist(), matches.ends.tolist(), strict=True))
    }
    for number in longer:
        start, end, surface = int(matches.starts[number]), int(matches.ends[number]), matches.surfaces[number]
        if side == 0:
            inner = at.get((start, start + surface.index(cut)))
        else:
            inner = at.get((start + len(cut), end)) if surface.startswith(cut) else None
        if inner is not None:
            own, others = slice(*bounds[number : number + 2]), slice(*bounds[inner : inner + 2])
            has[own] = np.isin(matches.rows[own], matches.rows[others])
    return has


def _of_kind(switch: str, batch: TextBatch, matches: Matches, knowledge: Knowledge) -> Bools:
    """Which candidates [P] are of the kind that a switch of `SWITCHES` is about."""
    rows = matches.rows
    if switch == "concepts":
        return knowledge.concepts[rows] & ~knowledge.occupations[rows]
    if switch == "roles":
        return knowledge.concepts[rows] & knowledge.occupations[rows]
    if switch == "nested":
        cut = within(matches.starts, batch.runs) | within(matches.ends, batch.runs)
        nested = (name_relations(batch, matches) == INSIDE) & cut
        inside: Bools = nested[matches.owners] & ~(knowledge.concepts[rows] & knowledge.is_terminology)
        return inside
    words = DEMONYMS if switch == "nationalities" else _CALENDAR
    there = np.fromiter((surface in words for surface in matches.surfaces), np.bool_, len(matches))
    return there[matches.owners]


ENOUGH: Mapping[str, float] = {
    "concepts": 0.1,
    "roles": 0.1,
    "nationalities": 0.4,
    "nested": 0.2,
    "dates": 0.4,
}
"""From this share of marked ones on a kind is taken to be marked: which of its words are, the ranker learns, but of
nationalities all are alike."""
FEWEST = 5
"""Of a kind that stands there less often nothing is learned."""


def learned(
    marked: Sequence[tuple[TextBatch, Matches, tuple[int, int], Sequence[Link]]], knowledge: Knowledge
) -> Marks:
    """Which kinds of candidates are marked in texts (each a batch of its own with its candidates, the stretch that was
    looked at, and its links)."""
    there, right = dict.fromkeys(SWITCHES, 0), dict.fromkeys(SWITCHES, 0)
    article = [0, 0]
    for batch, matches, (begin, end), links in marked:
        spans = {link[:2] for link in links}
        article[0] += sum(_has_article(batch.text, link.start) for link in links)
        article[1] += sum(batch.text[link.start : link.end].lower().startswith("the ") for link in links)
        if not len(matches):
            continue
        first = matches.bounds[:-1]
        inside = (matches.starts >= begin) & (matches.ends <= end)
        exact = np.fromiter(
            (span in spans for span in zip(matches.starts.tolist(), matches.ends.tolist(), strict=True)),
            np.bool_,
            len(matches),
        )
        for switch in SWITCHES:
            asked = inside & _of_kind(switch, batch, matches, knowledge)[first]
            there[switch] += int(asked.sum())
            right[switch] += int((asked & exact).sum())
    found = {
        switch: right[switch] >= ENOUGH[switch] * there[switch]
        for switch in SWITCHES
        if there[switch] >= FEWEST
    }
    return Marks(**found, articles=article[1] > article[0])


def _has_article(text: str, start: int) -> bool:
    return text[max(start - 4, 0) : start].lower() == "the "


def with_articles(text: str, linked: Sequence[LinkedSpan]) -> list[LinkedSpan]:
    """Links with the article that stands before them."""
    return [
        span._replace(start=span.start - 4) if _has_article(text, span.start) else span for span in linked
    ]
