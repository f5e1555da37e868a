"""A text with given links as an example to learn from, and the truth of each of its candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kepipe.arrays import Bools, Floats, Ints
from kepipe.linking.candidates.matches import Matches
from kepipe.linking.features.describe import FEATURES
from kepipe.linking.kb.links import UNKNOWN, Link
from kepipe.linking.linker import Linker
from kepipe.linking.text.annotations import Annotations
from kepipe.linking.text.batch import TextBatch


@dataclass(frozen=True)
class TrainingExample:
    """A text with given links: its candidates' features [P, F], NER groups [P], types [P], and whether they are of
    a kind that is marked (`allowed` [P]); only `span` counts.
    """

    matches: Matches
    features: Floats
    groups: Ints
    types: Ints
    allowed: Bools
    given: Sequence[Link]
    span: tuple[int, int]


def training_example(
    linker: Linker,
    text: str,
    annotation: Annotations,
    given: Sequence[Link],
    title: str = "",
    span: tuple[int, int] | None = None,
) -> TrainingExample:
    """A text with given links, to learn from; `span`: only what lies in these characters counts."""
    matches, features, groups = linker.featurize(text, annotation, title)
    types = linker.knowledge.types[matches.rows]
    batch = TextBatch((text,), ("",), (annotation,))
    allowed = linker.marks.allows(batch, matches, linker.knowledge)
    return TrainingExample(matches, features, groups, types, allowed, given, span or (0, len(text)))


RIGHT, WRONG, PLAIN, LEFT_OUT = range(4)


def label_candidates(example: TrainingExample, complete: bool = False) -> Ints:
    """The truth of each candidate [P]: RIGHT, WRONG, PLAIN (wrong: nothing takes it for a name), LEFT_OUT (what
    lies outside, or is of a kind that is not marked).

    `complete`: everything that could be linked is linked, so what is not is wrong.
    """
    matches, given = example.matches, example.given
    owners, rows = matches.owners, matches.rows
    starts, ends = matches.starts[owners], matches.ends[owners]
    named = _looks_like_name(example.features)
    truth: Ints = np.where(named, WRONG if complete else LEFT_OUT, PLAIN)
    out = (starts < example.span[0]) | (ends > example.span[1]) | ~example.allowed
    truth[out] = LEFT_OUT
    if not given:
        return truth
    link_starts, link_ends, link_rows = np.asarray(given, np.int64).T
    place = np.minimum(np.searchsorted(link_ends, starts, "right"), len(given) - 1)
    touches = (link_starts[place] < ends) & (link_ends[place] > starts)
    same = (link_starts[place] == starts) & (link_ends[place] == ends)
    meant = link_rows[place] == rows
    truth[touches] = WRONG
    truth[touches & (meant | (link_rows[place] == UNKNOWN))] = LEFT_OUT
    truth[touches & same & meant] = RIGHT
    truth[out] = LEFT_OUT
    return truth


def _looks_like_name(features: Floats) -> Bools:
    def column(name: str) -> Floats:
        return features[:, FEATURES.index(name)]

    seen = sum(map(column, ("proper", "name_same", "name_inside", "name_around", "name_across")))
    named: Bools = (seen > 0) | ((column("capital") > 0) & (column("common") <= 0.5))
    return named
