"""What counts as a mention: annotation guidelines, independent of which entity a mention means.

One gold set marks roles ("lecturer"), nationalities, pronouns, "the" before a name, or a place together with its
container; another does not. Which of these are linked is chosen by name (`MARKS_BY_NAME`) or inferred from a gold set
(`infer_marks`); the weights of the ranker do not depend on it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np

from kepipe.arrays import Bools
from kepipe.linking.candidates.matches import Matches
from kepipe.linking.features.surroundings import INSIDE, name_relations, splits_span
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
MarksName = Literal["names", "wiki", "everything"]
CANDIDATE_SWITCHES = ("concepts", "roles", "nationalities", "nested", "dates")
"""The fields of `Marks` that filter candidates; the others change the links of a text."""


@dataclass(frozen=True)
class Marks:
    """Which kinds of mentions are linked.

    `concepts`: entities with a lower-case label ("insurance"), None: only if the graph is a terminology
    (`Knowledge.is_terminology`); `roles`: concepts that describe persons ("lecturer"), None: likewise;
    `nationalities`: "Dutch" means Netherlands; `nested`: names inside a longer named entity; `pronouns`: "he" and
    "she"; `joined`: "Lille, France" is one mention, None: only if it is a name of the graph; `dates`: months and
    weekdays; `modifiers`: "sporadic renal cell carcinoma", which the graph lacks, means renal cell carcinoma, None:
    only if the graph is a terminology; `articles`: "the" before a name belongs to the mention.
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
        """The kinds besides names that are linked."""
        return [
            name
            for name in ("concepts", "roles", "nationalities", "nested", "dates", "articles")
            if getattr(self, name)
        ]

    def allows(self, batch: TextBatch, matches: Matches, knowledge: Knowledge) -> Bools:
        """Which candidates [P] are of a kind that is linked."""
        allowed = np.ones(len(matches.rows), np.bool_)
        for switch in CANDIDATE_SWITCHES:
            enabled = getattr(self, switch)
            if enabled is None:
                enabled = knowledge.is_terminology
            if not enabled:
                allowed &= ~_is_kind(switch, batch, matches, knowledge)
        if self.joined is False:
            allowed &= ~_contains_own_name(matches, ", ", 0)
        if not self.articles:
            allowed &= ~_contains_own_name(matches, "the ", 1)
        return allowed


MARKS_BY_NAME: Mapping[MarksName, Marks] = {
    "names": Marks(),
    "wiki": Marks(roles=True, nested=True, pronouns=True, joined=True),
    "everything": Marks(concepts=True, roles=True, nested=True, dates=True),
}
"""`names`: names, and terms if the graph is a terminology; `wiki`: everything with its own Wikipedia article, as in
gold sets annotated that way; `everything`: all entities of the graph, without pronouns."""
NAMES = MARKS_BY_NAME["names"]


def _contains_own_name(matches: Matches, cut: str, side: int) -> Bools:
    """Which candidates [P] are also candidates of the part of their match before (side 0) or after (side 1) `cut`.

    "Toronto, Ontario" and "the US" may be aliases of entities that also have the names Toronto and US.
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


def _is_kind(switch: str, batch: TextBatch, matches: Matches, knowledge: Knowledge) -> Bools:
    """Which candidates [P] are of the kind that a switch of `CANDIDATE_SWITCHES` controls."""
    rows = matches.rows
    if switch == "concepts":
        return knowledge.concepts[rows] & ~knowledge.occupations[rows]
    if switch == "roles":
        return knowledge.concepts[rows] & knowledge.occupations[rows]
    if switch == "nested":
        cut = splits_span(matches.starts, batch.runs) | splits_span(matches.ends, batch.runs)
        nested = (name_relations(batch, matches) == INSIDE) & cut
        inside: Bools = nested[matches.owners] & ~(knowledge.concepts[rows] & knowledge.is_terminology)
        return inside
    words = DEMONYMS if switch == "nationalities" else _CALENDAR
    in_words = np.fromiter((surface in words for surface in matches.surfaces), np.bool_, len(matches))
    return in_words[matches.owners]


MIN_MARKED_SHARE: Mapping[str, float] = {
    "concepts": 0.1,
    "roles": 0.1,
    "nationalities": 0.4,
    "nested": 0.2,
    "dates": 0.4,
}
"""A kind is linked if at least this share of its occurrences is marked. The threshold is low where the ranker learns
which words of the kind are marked, and higher for nationalities and dates, which are marked all or none."""
MIN_OCCURRENCES = 5
"""Kinds with fewer occurrences keep their default."""


def infer_marks(
    marked: Sequence[tuple[TextBatch, Matches, tuple[int, int], Sequence[Link]]], knowledge: Knowledge
) -> Marks:
    """Infer from annotated texts which kinds of candidates are marked.

    Each text is a batch of one with its matches, the annotated span (start, end), and its gold links.
    """
    occurrences, right = dict.fromkeys(CANDIDATE_SWITCHES, 0), dict.fromkeys(CANDIDATE_SWITCHES, 0)
    article = [0, 0]  # gold links after "the", and gold links that include it
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
        for switch in CANDIDATE_SWITCHES:
            of_kind = inside & _is_kind(switch, batch, matches, knowledge)[first]
            occurrences[switch] += int(of_kind.sum())
            right[switch] += int((of_kind & exact).sum())
    switches = {
        switch: right[switch] >= MIN_MARKED_SHARE[switch] * occurrences[switch]
        for switch in CANDIDATE_SWITCHES
        if occurrences[switch] >= MIN_OCCURRENCES
    }
    return Marks(**switches, articles=article[1] > article[0])


def _has_article(text: str, start: int) -> bool:
    return text[max(start - 4, 0) : start].lower() == "the "


def with_articles(text: str, linked: Sequence[LinkedSpan]) -> list[LinkedSpan]:
    """Links extended by a preceding "the"."""
    return [
        span._replace(start=span.start - 4) if _has_article(text, span.start) else span for span in linked
    ]
