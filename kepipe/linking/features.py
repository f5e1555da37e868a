"""What is known of each candidate of a text, as numbers: a row a candidate, a column a feature.

Features of a match (is this a name at all?) are the same for all of its candidates; the others say which
entity it is. A feature that cannot be known, because no tagger or NER ran, is 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kepipe.linking.casing import Casing, capital_runs
from kepipe.linking.coherence import cohere
from kepipe.linking.context import compare
from kepipe.linking.gazetteer import Matches
from kepipe.linking.knowledge import Knowledge
from kepipe.linking.reading import Reading

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

LABELS: Mapping[str, str] = {
    "GPE": "place", "LOC": "place", "FAC": "place", "PERSON": "person", "ORG": "organisation", "NORP": "people",
    "LANGUAGE": "people", "WORK_OF_ART": "work", "EVENT": "work", "PRODUCT": "work", "LAW": "work",
}  # fmt: skip
"""OntoNotes' labels, grouped; numbers, dates and the rest are "other"."""
GROUPS = ("none", "place", "person", "organisation", "people", "work", "other")

MATCH_FEATURES = (
    "capital", "common", "capital_common", "sentence_start", "log_words", "short", "digit", "log_candidates",
    "inside_longer", "run_left", "run_right", "proper", "proper_left", "proper_right",
    "name_same", "name_inside", "name_across", *(f"name_{group}" for group in GROUPS[1:]),
)  # fmt: skip
CANDIDATE_FEATURES = (
    "log_prior", "weight", "likeliest", "is_label", "near", "anywhere", "related", "kindred", "beside",
    "in_title", "affinity",
)  # fmt: skip
FEATURES = MATCH_FEATURES + CANDIDATE_FEATURES


@dataclass(frozen=True)
class Affinity:
    """How well a type of entity goes with what NER saw: log odds [groups, types + 1], last column no type."""

    table: Floats = field(default_factory=lambda: np.zeros((len(GROUPS), 1)))

    @classmethod
    def learn(cls, groups: Ints, types: Ints, right: npt.NDArray[np.bool_], count: int) -> Affinity:
        """From candidates whose truth is known; `types` −1 is no type, `count` the number of types.

        Smoothed with one half, less the log odds of all candidates together.
        """
        hits, misses = np.full((2, len(GROUPS), count + 1), 0.5)
        np.add.at(hits, (groups[right], types[right]), 1.0)
        np.add.at(misses, (groups[~right], types[~right]), 1.0)
        rarely_seen = hits + misses < 4
        base = np.log((right.sum() + 0.5) / ((~right).sum() + 0.5))
        return cls(np.where(rarely_seen, 0.0, np.log(hits / misses) - base))

    def of(self, groups: Ints, types: Ints) -> Floats:
        """The log odds of each candidate: [P]."""
        odds: Floats = self.table[groups, types % self.table.shape[1]]
        return odds


class Situation(NamedTuple):
    """A text that is being linked."""

    text: str
    title: str
    matches: Matches
    reading: Reading


def describe(
    situation: Situation, knowledge: Knowledge, casing: Casing, affinity: Affinity
) -> tuple[Floats, Ints]:
    """Features [P, F] of all candidates in the order of `FEATURES`, and the NER group of each: [P]."""
    matches = situation.matches
    of_match, groups = _describe_matches(situation, casing)
    owners, rows = matches.owners, matches.rows
    common = of_match[:, MATCH_FEATURES.index("common")]
    votes = matches.priors * (1.0 - common)[owners]
    coherence = cohere(matches, votes, knowledge.neighbours)
    near, anywhere = compare(situation.text, matches, knowledge.profiles, knowledge.columns)
    title = situation.title.casefold()
    labels = {row: knowledge.labels[row] for row in set(rows.tolist())}
    titled = {row: bool(title) and label.casefold() in title for row, label in labels.items()}
    pairs = list(zip(owners.tolist(), rows.tolist(), strict=True))
    of_candidate = np.column_stack(
        (
            np.log(matches.priors),
            knowledge.weights[rows],
            np.diff(owners, prepend=-1) > 0,
            np.fromiter((matches.surfaces[owner] == labels[row] for owner, row in pairs), float, len(pairs)),
            near,
            anywhere,
            coherence.related,
            coherence.kindred,
            coherence.beside,
            np.fromiter((titled[row] for _, row in pairs), float, len(pairs)),
            affinity.of(groups[owners], knowledge.types[rows]),
        )
    )
    return np.hstack((of_match[owners], of_candidate)), groups[owners]


def _describe_matches(situation: Situation, casing: Casing) -> tuple[Floats, Ints]:
    """Features [M, len(MATCH_FEATURES)] of the matches, and the NER group of each: [M]."""
    text, _, matches, reading = situation
    starts, ends, surfaces = matches.starts, matches.ends, matches.surfaces
    capital = np.fromiter((surface[0].isupper() for surface in surfaces), float, len(surfaces))
    known = {surface: casing.common(surface) for surface in set(surfaces)}
    common = np.fromiter((known[surface] for surface in surfaces), float, len(surfaces))
    sentence = np.isin(starts, [span.start for span in reading.sentences])
    _, run_left, run_right = _inside(starts, ends, capital_runs(text))
    proper, proper_left, proper_right = _inside(starts, ends, [span[:2] for span in reading.proper or ()])
    names = reading.names or ()
    relation, name = _against(starts, ends, [span[:2] for span in names])
    codes = [GROUPS.index(LABELS.get(span.label, "other")) for span in names]
    groups = np.asarray([*codes, 0], np.int64)[name]  # −1, no name, is the last
    features = (
        capital,
        common,
        capital * common,
        capital * sentence,
        np.log([1 + surface.count(" ") for surface in surfaces]),
        ends - starts <= 3,
        np.fromiter((surface[0].isdigit() for surface in surfaces), float, len(surfaces)),
        np.log(np.bincount(matches.owners, minlength=len(matches))),
        _inside_longer(starts, ends),
        run_left,
        run_right,
        proper,
        proper_left,
        proper_right,
        relation == SAME,
        relation == INSIDE,
        relation == ACROSS,
        *(groups == number for number in range(1, len(GROUPS))),
    )
    return np.column_stack(features).astype(np.float64).reshape(len(matches), len(MATCH_FEATURES)), groups


APART, SAME, INSIDE, ACROSS = range(4)


def _against(starts: Ints, ends: Ints, spans: Sequence[tuple[int, int]]) -> tuple[Ints, Ints]:
    """How each match stands to the first span it touches (of spans in order, apart), and which: −1 none."""
    if not spans:
        return np.full(len(starts), APART), np.full(len(starts), -1)
    span_starts, span_ends = np.asarray(spans, np.int64).T
    first = np.searchsorted(span_ends, starts, "right")
    place = np.minimum(first, len(spans) - 1)
    touches = (first < len(spans)) & (span_starts[place] < ends)
    same = (span_starts[place] == starts) & (span_ends[place] == ends)
    inside = (span_starts[place] <= starts) & (span_ends[place] >= ends)
    relation = np.select([~touches, same, inside], [APART, SAME, INSIDE], ACROSS)
    return relation, np.where(touches, place, -1)


def _inside(starts: Ints, ends: Ints, spans: Sequence[tuple[int, int]]) -> tuple[Floats, Floats, Floats]:
    """Whether each match is within a span, and whether that span goes on to its left and to its right."""
    relation, place = _against(starts, ends, spans)
    within = (relation == SAME) | (relation == INSIDE)
    if not spans:
        return within.astype(float), np.zeros(len(starts)), np.zeros(len(starts))
    span_starts, span_ends = np.asarray(spans, np.int64).T
    left, right = within & (span_starts[place] < starts), within & (span_ends[place] > ends)
    return within.astype(float), left.astype(float), right.astype(float)


def _inside_longer(starts: Ints, ends: Ints) -> Floats:
    """Whether another match covers this one and more; matches come by start, then end."""
    if not len(starts):
        return np.zeros(0)
    reach = np.maximum.accumulate(ends)
    before = np.concatenate(([-1], reach[:-1])) >= ends
    last_of_start = np.searchsorted(starts, starts, "right") - 1
    return (before | (ends[last_of_start] > ends)).astype(float)
