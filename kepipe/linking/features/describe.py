"""The feature matrix of the candidates of a text: one row per candidate, one column per feature.

Match features (is this span a mention?) are the same for all candidates of a match; candidate features tell which
entity it means.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from kepipe.arrays import Bools, Floats, Ints
from kepipe.linking.candidates.matches import FIRST, LAST, SHORT, Matches
from kepipe.linking.features.affinity import Affinity, kind_agreement
from kepipe.linking.features.coherence import coherence_features
from kepipe.linking.features.context import profile_overlap
from kepipe.linking.features.full_names import correct_full_names
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


class CandidateFeatures(NamedTuple):
    """`of_match` [len(MATCH_FEATURES), M]: the same for all candidates of a match; `of_candidate`
    [len(CANDIDATE_FEATURES), P]; `groups` [P]: the NER group of each candidate's match.
    """

    of_match: Floats
    of_candidate: Floats
    groups: Ints

    def table(self, owners: Ints) -> Floats:
        """All features of each candidate, in the order of `FEATURES`: [P, F]."""
        return np.vstack((self.of_match[:, owners], self.of_candidate)).T


def describe(
    batch: TextBatch, matches: Matches, knowledge: Knowledge, casing: Casing, affinity: Affinity
) -> CandidateFeatures:
    """The features of all candidates of a batch."""
    of_match, match_groups = describe_matches(batch, matches, casing)
    owners, rows = matches.owners, matches.rows
    groups = match_groups[owners]
    terms = _is_term(matches, knowledge)
    kind_same, kind_clash, kind_nation = kind_agreement(groups, knowledge.kinds[rows])
    correct_full_names(of_match, kind_clash, matches)
    of_match[np.ix_(_NAME_FEATURES, terms)] = 0.0
    common = of_match[MATCH_FEATURES.index("common")]
    votes = matches.priors * (1.0 - common)[owners]
    texts = batch.number(matches.starts)[owners]
    coherence = coherence_features(matches, texts, votes, knowledge.neighbours)
    near, anywhere = profile_overlap(batch, matches, knowledge.profiles, knowledge.columns)
    quoted = _is_quoted(batch, matches)[owners]
    capital = _is_capitalised(batch, matches) & (of_match[MATCH_FEATURES.index("sentence_start")] == 0)
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
        _is_in_title(batch, texts, rows, knowledge),
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
        matches.sources == SHORT,
        matches.sources == LAST,
        matches.sources == FIRST,
        matches.outside[owners],
        kind_same,
        kind_clash,
        kind_nation,
        affinity.of(groups, knowledge.types[rows]),
    )
    return CandidateFeatures(of_match, np.stack(of_candidate, dtype=np.float64, casting="unsafe"), groups)


_NAME_FEATURES = np.asarray(
    [
        MATCH_FEATURES.index(name)
        for name in (
            "tagged", "capital", "common", "capital_common", "sentence_start", "run_left", "run_right", "echo",
            "after_unknown", "proper", "proper_left", "proper_right",
            *(name for name in MATCH_FEATURES if name.startswith("name_")),
        )
    ]
)  # fmt: skip
"""Match features that only apply to names, and are set to 0 for terms."""


_MIN_TERM_LENGTH = 4
"""A shorter lower-case surface is a common word: "he", although it matches He, the symbol of helium."""


def _is_term(matches: Matches, knowledge: Knowledge) -> Bools:
    """Whether each match [M] is a term: in a terminology, a match whose candidates are all concepts."""
    if not knowledge.is_terminology:
        return np.zeros(len(matches), np.bool_)
    terms: Bools = np.logical_and.reduceat(knowledge.concepts[matches.rows], matches.bounds[:-1])
    small = (len(surface) < _MIN_TERM_LENGTH and surface.islower() for surface in matches.surfaces)
    return terms & ~np.fromiter(small, np.bool_, len(matches))


_OPENING = np.asarray([*map(ord, '"“„«「『《〈')])
_CLOSING = np.asarray([*map(ord, '"”“»」』》〉')])
_STOPS = np.asarray([*map(ord, ",.")])
"""American typography puts them before the closing quotation mark."""


def _is_quoted(batch: TextBatch, matches: Matches) -> Bools:
    """Whether each match [M] is exactly the text between quotation marks."""
    ends = matches.ends + np.isin(batch.codes[matches.ends], _STOPS)
    return _after_opening(batch, matches) & np.isin(batch.codes[ends], _CLOSING)


def _is_capitalised(batch: TextBatch, matches: Matches) -> Bools:
    """Whether each match [M] is capitalised, but not in all capitals or right after an opening quotation mark."""
    capitalised = (surface[0].isupper() and not surface.isupper() for surface in matches.surfaces)
    capital = np.fromiter(capitalised, np.bool_, len(matches))
    return capital & ~_after_opening(batch, matches)


def _after_opening(batch: TextBatch, matches: Matches) -> Bools:
    """Whether each match [M] follows an opening quotation mark."""
    opened: Bools = np.isin(batch.codes[matches.starts - 1], _OPENING)
    return opened & (matches.starts > 0)


def _is_in_title(batch: TextBatch, texts: Ints, rows: Ints, knowledge: Knowledge) -> Floats:
    """Whether the title of the text contains the candidate's label: [P]."""
    in_title = np.zeros(len(rows))
    for text, title in enumerate(batch.titles):
        if title:
            first, stop = np.searchsorted(texts, (text, text + 1))
            folded = title.casefold()
            distinct, place = np.unique(rows[first:stop], return_inverse=True)
            contains = (knowledge.labels[row].casefold() in folded for row in distinct.tolist())
            in_title[first:stop] = np.fromiter(contains, np.float64, len(distinct))[place]
    return in_title
