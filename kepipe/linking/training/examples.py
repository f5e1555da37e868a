"""Training examples: texts with gold links, and the label of each of their candidates."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
    """A text with gold links (`given`): features [P, F], NER groups [P] and types [P] of its candidates, and whether
    each is of a kind that is linked (`allowed` [P]); only candidates inside `span` (character offsets) are used.
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
    """The training example of a text with gold links; `span`: the annotated characters, None: all of the text.

    A dense view is left out, so that the ranker and its threshold are the same with and without one.
    """
    linker = replace(linker, dense=None)
    matches, features, groups = linker.featurize(text, annotation, title)
    types = linker.knowledge.types[matches.rows]
    batch = TextBatch((text,), ("",), (annotation,))
    allowed = linker.marks.allows(batch, matches, linker.knowledge)
    return TrainingExample(matches, features, groups, types, allowed, given, span or (0, len(text)))


POSITIVE, NEGATIVE, EASY_NEGATIVE, IGNORED = range(4)


def label_candidates(example: TrainingExample, complete: bool = False) -> Ints:
    """The training label of each candidate [P]: POSITIVE, NEGATIVE, EASY_NEGATIVE (a span that does not look like a
    name), or IGNORED (outside of `span`, of a kind that is not linked, or undecidable).

    `complete`: the gold links are exhaustive, so that a candidate without one is NEGATIVE; otherwise it is IGNORED.
    """
    matches, given = example.matches, example.given
    owners, rows = matches.owners, matches.rows
    starts, ends = matches.starts[owners], matches.ends[owners]
    named = _looks_like_name(example.features)
    labels: Ints = np.where(named, NEGATIVE if complete else IGNORED, EASY_NEGATIVE)
    excluded = (starts < example.span[0]) | (ends > example.span[1]) | ~example.allowed
    labels[excluded] = IGNORED
    if not given:
        return labels
    link_starts, link_ends, link_rows = np.asarray(given, np.int64).T
    place = np.minimum(np.searchsorted(link_ends, starts, "right"), len(given) - 1)
    touches = (link_starts[place] < ends) & (link_ends[place] > starts)
    same = (link_starts[place] == starts) & (link_ends[place] == ends)
    meant = link_rows[place] == rows
    labels[touches] = NEGATIVE
    labels[touches & (meant | (link_rows[place] == UNKNOWN))] = IGNORED
    labels[touches & same & meant] = POSITIVE
    labels[excluded] = IGNORED
    return labels


def _looks_like_name(features: Floats) -> Bools:
    def column(name: str) -> Floats:
        return features[:, FEATURES.index(name)]

    tagged = sum(map(column, ("proper", "name_same", "name_inside", "name_around", "name_across")))
    named: Bools = (tagged > 0) | ((column("capital") > 0) & (column("common") <= 0.5))
    return named
