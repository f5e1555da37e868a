"""What is known of each candidate of a text, as numbers: a row a candidate, a column a feature.

Features of a match (is this a name at all?) are the same for all of its candidates; the others say which
entity it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kepipe.linking.casing import Casing
from kepipe.linking.coherence import cohere
from kepipe.linking.context import compare
from kepipe.linking.gazetteer import Matches
from kepipe.linking.kinds import KINDS
from kepipe.linking.knowledge import Knowledge
from kepipe.linking.reading import Reading
from kepipe.linking.surroundings import GROUPS, MATCH_FEATURES, describe_matches

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

CANDIDATE_FEATURES = (
    "log_prior", "weight", "likeliest", "is_label", "near", "anywhere", "related", "kindred", "beside",
    "in_title", "concept", "short_form", "kind_same", "kind_clash", "kind_nation", "affinity",
)  # fmt: skip
FEATURES = MATCH_FEATURES + CANDIDATE_FEATURES


DRAW = 4.0


def agree(groups: Ints, kinds: Ints) -> tuple[Floats, Floats, Floats]:
    """Whether NER's group and the entity's kind are the same, differ, or are a nationality and a place: each [P].

    All are 0 where either is unknown. "German" is a nationality to NER, and often Germany to a graph.
    """
    known = (groups > 0) & (groups < len(KINDS)) & (kinds > 0)
    nation = known & (groups == KINDS.index("people")) & (kinds == KINDS.index("place"))
    same = known & (groups == kinds)
    return same.astype(float), (known & ~same & ~nation).astype(float), nation.astype(float)


@dataclass(frozen=True)
class Affinity:
    """How well a type of entity goes with what NER saw: log odds [groups, types + 1], last column no type."""

    table: Floats = field(default_factory=lambda: np.zeros((len(GROUPS), 1)))

    @classmethod
    def learn(cls, groups: Ints, types: Ints, right: npt.NDArray[np.bool_], count: int) -> Affinity:
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
    of_match, groups = describe_matches(situation.text, matches, situation.reading, casing)
    owners, rows = matches.owners, matches.rows
    common = of_match[:, MATCH_FEATURES.index("common")]
    votes = matches.priors * (1.0 - common)[owners]
    coherence = cohere(matches, votes, knowledge.neighbours)
    near, anywhere = compare(situation.text, matches, knowledge.profiles, knowledge.columns)
    titled = _titled(situation.title, rows, knowledge) if situation.title else np.zeros(len(rows))
    of_candidate = np.column_stack(
        (
            np.log(matches.priors),
            knowledge.weights[rows],
            np.diff(owners, prepend=-1) > 0,
            matches.labels,
            near,
            anywhere,
            coherence.related,
            coherence.kindred,
            coherence.beside,
            titled,
            knowledge.concepts[rows],
            matches.short,
            *agree(groups[owners], knowledge.kinds[rows]),
            affinity.of(groups[owners], knowledge.types[rows]),
        )
    )
    return np.hstack((of_match[owners], of_candidate)), groups[owners]


def _titled(title: str, rows: Ints, knowledge: Knowledge) -> Floats:
    """Whether the title of the text holds the label of each candidate: [P]."""
    folded = title.casefold()
    distinct, place = np.unique(rows, return_inverse=True)
    there = (knowledge.labels[row].casefold() in folded for row in distinct.tolist())
    return np.fromiter(there, np.float64, len(distinct))[place]
