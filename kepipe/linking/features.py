"""What is known of each candidate of a text, as numbers: a row a candidate, a column a feature.

Features of a match (is this a name at all?) are the same for all of its candidates; the others say which
entity it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from kepipe.arrays import Bools, Floats, Ints
from kepipe.linking.casing import Casing
from kepipe.linking.coherence import cohere
from kepipe.linking.context import compare
from kepipe.linking.gazetteer import Matches
from kepipe.linking.kinds import KINDS
from kepipe.linking.knowledge import Knowledge
from kepipe.linking.page import Page
from kepipe.linking.places import elsewhere
from kepipe.linking.surroundings import GROUPS, MATCH_FEATURES, describe_matches

CANDIDATE_FEATURES = (
    "log_prior", "weight", "likeliest", "is_label", "near", "anywhere", "related", "kindred", "beside", "elsewhere",
    "in_title", "concept", "concept_alias", "concept_capital", "occupation", "quoted_work", "quoted_other",
    "short_form", "kind_same", "kind_clash", "kind_nation", "affinity",
)  # fmt: skip
FEATURES = MATCH_FEATURES + CANDIDATE_FEATURES

DRAW = 4.0
"""How many candidates more are taken to have been seen of each pair of group and type."""


def agree(groups: Ints, kinds: Ints) -> tuple[Floats, Floats, Floats]:
    """Whether NER's group and the entity's kind are the same, differ, or are a nationality and a place: each [P].

    All are 0 where either is unknown. "German" is a nationality to NER, and often Germany to a graph.
    """
    known = (groups > 0) & (groups < len(KINDS)) & (kinds > 0)
    national = (KINDS.index("people"), KINDS.index("language"))
    nation = known & np.isin(groups, national) & (kinds == KINDS.index("place"))
    same = known & (groups == kinds)
    return same.astype(float), (known & ~same & ~nation).astype(float), nation.astype(float)


@dataclass(frozen=True)
class Affinity:
    """How well a type of entity goes with what NER saw: log odds [groups, types + 1], last column no type."""

    table: Floats = field(default_factory=lambda: np.zeros((len(GROUPS), 1)))

    @classmethod
    def learn(cls, groups: Ints, types: Ints, right: Bools, count: int) -> Affinity:
        """From candidates whose truth is known; `types` −1 is no type, `count` the number of types.

        A pair's share of right candidates is drawn towards that of its type, and the type's towards that of all
        candidates, each as if `DRAW` more had been seen; of these shares the log odds, less those of all.
        """
        hits, seen = np.zeros((2, len(GROUPS), count + 1))
        np.add.at(hits, (groups[right], types[right]), 1.0)
        np.add.at(seen, (groups, types), 1.0)
        base = (right.sum() + 0.5) / (len(right) + 1.0)
        of_type = (hits.sum(axis=0) + DRAW * base) / (seen.sum(axis=0) + DRAW)
        share = (hits + DRAW * of_type) / (seen + DRAW)
        return cls(np.log(share / (1 - share)) - np.log(base / (1 - base)))

    def of(self, groups: Ints, types: Ints) -> Floats:
        """The log odds of each candidate: [P]."""
        odds: Floats = self.table[groups, types % self.table.shape[1]]
        return odds


class Described(NamedTuple):
    """`of_match` [len(MATCH_FEATURES), M]: the same for all candidates of a match; `of_candidate`
    [len(CANDIDATE_FEATURES), P]; `groups` [P]: what NER takes each for.
    """

    of_match: Floats
    of_candidate: Floats
    groups: Ints

    def table(self, owners: Ints) -> Floats:
        """All features of each candidate, in the order of `FEATURES`: [P, F]."""
        return np.vstack((self.of_match[:, owners], self.of_candidate)).T


def describe(
    page: Page, matches: Matches, knowledge: Knowledge, casing: Casing, affinity: Affinity
) -> Described:
    """The features of all candidates of a page."""
    of_match, groups = describe_matches(page, matches, casing)
    owners, rows = matches.owners, matches.rows
    common = of_match[MATCH_FEATURES.index("common")]
    votes = matches.priors * (1.0 - common)[owners]
    texts = page.number(matches.starts)[owners]
    coherence = cohere(matches, texts, votes, knowledge.neighbours)
    near, anywhere = compare(page, matches, knowledge.profiles, knowledge.columns)
    groups = groups[owners]
    quoted = _quoted(page, matches)[owners]
    capital = _capital_within(page, matches) & (of_match[MATCH_FEATURES.index("sentence_start")] == 0)
    of_candidate = (
        np.log(matches.priors),
        knowledge.weights[rows],
        np.diff(owners, prepend=-1) > 0,
        matches.labels,
        near,
        anywhere,
        coherence.related,
        coherence.kindred,
        coherence.beside,
        elsewhere(page, matches, knowledge),
        _titled(page, texts, rows, knowledge),
        knowledge.concepts[rows],
        knowledge.concepts[rows] & ~matches.labels,
        knowledge.concepts[rows] & ~knowledge.occupations[rows] & capital[owners],
        knowledge.occupations[rows],
        quoted & (knowledge.kinds[rows] == KINDS.index("work")),
        quoted & (knowledge.kinds[rows] != KINDS.index("work")),
        matches.short,
        *agree(groups, knowledge.kinds[rows]),
        affinity.of(groups, knowledge.types[rows]),
    )
    return Described(of_match, np.stack(of_candidate, dtype=np.float64, casting="unsafe"), groups)


_OPENING = np.asarray([*map(ord, '"“„«「『《〈')])
_CLOSING = np.asarray([*map(ord, '"”“»」』》〉')])
_STOPS = np.asarray([*map(ord, ",.")])
"""In American print they stand before the closing mark."""


def _quoted(page: Page, matches: Matches) -> Bools:
    """Whether each match [M] is what stands between quotation marks."""
    ends = matches.ends + np.isin(page.codes[matches.ends], _STOPS)
    return _after_opening(page, matches) & np.isin(page.codes[ends], _CLOSING)


def _capital_within(page: Page, matches: Matches) -> Bools:
    """Whether each match [M] has a capital, and neither is all in capitals nor follows a quotation mark."""
    written = (surface[0].isupper() and not surface.isupper() for surface in matches.surfaces)
    capital = np.fromiter(written, np.bool_, len(matches))
    return capital & ~_after_opening(page, matches)


def _after_opening(page: Page, matches: Matches) -> Bools:
    """Whether each match [M] stands right behind an opening quotation mark."""
    opened: Bools = np.isin(page.codes[matches.starts - 1], _OPENING)
    return opened & (matches.starts > 0)


def _titled(page: Page, texts: Ints, rows: Ints, knowledge: Knowledge) -> Floats:
    """Whether the title of its text holds the label of each candidate: [P]."""
    found = np.zeros(len(rows))
    for text, title in enumerate(page.titles):
        if title:
            first, stop = np.searchsorted(texts, (text, text + 1))
            folded = title.casefold()
            distinct, place = np.unique(rows[first:stop], return_inverse=True)
            there = (knowledge.labels[row].casefold() in folded for row in distinct.tolist())
            found[first:stop] = np.fromiter(there, np.float64, len(distinct))[place]
    return found
