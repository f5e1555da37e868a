"""What is known of each candidate of a text, as numbers: a row a candidate, a column a feature.

Features of a match (is this a name at all?) are the same for all of its candidates; the others say which
entity it is.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kepipe.arrays import Bools, Floats, Ints
from kepipe.linking.candidates.matches import FIRST, LAST, SHORT, Matches
from kepipe.linking.features.affinity import Affinity, agree
from kepipe.linking.features.coherence import cohere
from kepipe.linking.features.context import compare
from kepipe.linking.features.places import containment_conflict
from kepipe.linking.features.surroundings import MATCH_FEATURES, describe_matches
from kepipe.linking.kb.kinds import KINDS
from kepipe.linking.kb.knowledge import Knowledge
from kepipe.linking.kb.terms import CATEGORIES
from kepipe.linking.text.batch import TextBatch
from kepipe.linking.text.casing import Casing

CANDIDATE_FEATURES = (
    "log_prior", "weight", "likeliest", "is_label", "near", "anywhere", "related", "kindred", "beside", "elsewhere",
    "in_title", "term", "category", "concept", "concept_alias", "concept_capital", "occupation", "quoted_work",
    "quoted_other",
    "short_form", "last_name", "first_name", "outsider", "kind_same", "kind_clash", "kind_nation", "affinity",
)  # fmt: skip
FEATURES = MATCH_FEATURES + CANDIDATE_FEATURES


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
    batch: TextBatch, matches: Matches, knowledge: Knowledge, casing: Casing, affinity: Affinity
) -> Described:
    """The features of all candidates of a batch."""
    of_match, groups = describe_matches(batch, matches, casing)
    owners, rows = matches.owners, matches.rows
    terms = _terms(matches, knowledge)
    of_match[np.ix_(_OF_NAMES, terms)] = 0.0
    common = of_match[MATCH_FEATURES.index("common")]
    votes = matches.priors * (1.0 - common)[owners]
    texts = batch.number(matches.starts)[owners]
    coherence = cohere(matches, texts, votes, knowledge.neighbours)
    near, anywhere = compare(batch, matches, knowledge.profiles, knowledge.columns)
    groups = groups[owners]
    quoted = _quoted(batch, matches)[owners]
    capital = _capital_within(batch, matches) & (of_match[MATCH_FEATURES.index("sentence_start")] == 0)
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
        containment_conflict(batch, matches, knowledge),
        _titled(batch, texts, rows, knowledge),
        terms[owners],
        (
            terms
            & np.fromiter(
                (surface.lower() in CATEGORIES for surface in matches.surfaces), np.bool_, len(matches)
            )
        )[owners],
        knowledge.concepts[rows],
        knowledge.concepts[rows] & ~matches.labels,
        knowledge.concepts[rows] & ~knowledge.occupations[rows] & capital[owners],
        knowledge.occupations[rows],
        quoted & (knowledge.kinds[rows] == KINDS.index("work")),
        quoted & (knowledge.kinds[rows] != KINDS.index("work")),
        matches.short == SHORT,
        matches.short == LAST,
        matches.short == FIRST,
        matches.outside[owners],
        *agree(groups, knowledge.kinds[rows]),
        affinity.of(groups, knowledge.types[rows]),
    )
    return Described(of_match, np.stack(of_candidate, dtype=np.float64, casting="unsafe"), groups)


_OF_NAMES = np.asarray(
    [
        MATCH_FEATURES.index(name)
        for name in (
            "tagged", "capital", "common", "capital_common", "sentence_start", "run_left", "run_right", "echo",
            "after_unknown", "proper", "proper_left", "proper_right",
            *(name for name in MATCH_FEATURES if name.startswith("name_")),
        )
    ]
)  # fmt: skip
"""What tells whether something is a name, and nothing of terms."""


_SHORTEST_TERM = 4
"""What is shorter and written in small letters is a common word, as "he" is though helium has the sign He."""


def _terms(matches: Matches, knowledge: Knowledge) -> Bools:
    """Whether each match [M] is a term: in a terminology, what can only be a concept."""
    if not knowledge.is_terminology:
        return np.zeros(len(matches), np.bool_)
    terms: Bools = np.logical_and.reduceat(knowledge.concepts[matches.rows], matches.bounds[:-1])
    small = (len(surface) < _SHORTEST_TERM and surface.islower() for surface in matches.surfaces)
    return terms & ~np.fromiter(small, np.bool_, len(matches))


_OPENING = np.asarray([*map(ord, '"“„«「『《〈')])
_CLOSING = np.asarray([*map(ord, '"”“»」』》〉')])
_STOPS = np.asarray([*map(ord, ",.")])
"""In American print they stand before the closing mark."""


def _quoted(batch: TextBatch, matches: Matches) -> Bools:
    """Whether each match [M] is what stands between quotation marks."""
    ends = matches.ends + np.isin(batch.codes[matches.ends], _STOPS)
    return _after_opening(batch, matches) & np.isin(batch.codes[ends], _CLOSING)


def _capital_within(batch: TextBatch, matches: Matches) -> Bools:
    """Whether each match [M] has a capital, and neither is all in capitals nor follows a quotation mark."""
    written = (surface[0].isupper() and not surface.isupper() for surface in matches.surfaces)
    capital = np.fromiter(written, np.bool_, len(matches))
    return capital & ~_after_opening(batch, matches)


def _after_opening(batch: TextBatch, matches: Matches) -> Bools:
    """Whether each match [M] stands right behind an opening quotation mark."""
    opened: Bools = np.isin(batch.codes[matches.starts - 1], _OPENING)
    return opened & (matches.starts > 0)


def _titled(batch: TextBatch, texts: Ints, rows: Ints, knowledge: Knowledge) -> Floats:
    """Whether the title of its text holds the label of each candidate: [P]."""
    titled = np.zeros(len(rows))
    for text, title in enumerate(batch.titles):
        if title:
            first, stop = np.searchsorted(texts, (text, text + 1))
            folded = title.casefold()
            distinct, place = np.unique(rows[first:stop], return_inverse=True)
            there = (knowledge.labels[row].casefold() in folded for row in distinct.tolist())
            titled[first:stop] = np.fromiter(there, np.float64, len(distinct))[place]
    return titled
