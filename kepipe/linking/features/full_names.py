"""Corrections of the features of names of several words, such as "Toy Story" and "1968 Summer Olympics".

Six features are set to a value that does not count against such a name: `capital` to 1, and `common`, `capital_common`,
`run_left`, `proper_left` and `kind_clash` to 0. All other features keep their values. Where `capital` is set to 1,
`capital_common`, `sentence_start` and `after_unknown`, which were computed with `capital` 0, stay 0.

Each correction is a function and a row of `CORRECTIONS`. The general weights were learned without them (`python -m
tests.benchmarks.general`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from kepipe.arrays import Bools, Floats
from kepipe.linking.candidates.matches import Matches
from kepipe.linking.features.surroundings import MATCH_FEATURES

Features = Mapping[str, Floats]
"""The features of M matches by name, [M] each, views of one array."""
Correction = Callable[[Features, Floats, Matches], None]
"""Changes the match features and `kind_clash` [P] of matches of several words in place."""


def correct_full_names(of_match: Floats, kind_clash: Floats, matches: Matches) -> None:
    """Apply all `CORRECTIONS` to the match features [len(MATCH_FEATURES), M] and to `kind_clash` [P], in place."""
    features = dict(zip(MATCH_FEATURES, of_match, strict=True))
    for correct in CORRECTIONS.values():
        correct(features, kind_clash, matches)


def _correct_number(features: Features, _: Floats, matches: Matches) -> None:
    """`capital` is set to 1 where the first character is a digit and some word is capitalised: a digit has no case, so
    it does not show that the name is in lower case ("20th Century Fox")."""
    numbered = (name[0].isdigit() and _count_capitalised(name) > 0 for name in matches.surfaces)
    features["capital"][_several_words(features) & np.fromiter(numbered, np.bool_, len(matches))] = 1.0


def _correct_label(features: Features, _: Floats, matches: Matches) -> None:
    """`common` and `capital_common` are set to 0 where the match is the label of a candidate and has two capitalised
    words, not counting a leading "The": such a match is a name, even if its words are common ("Toy Story")."""
    is_label = np.zeros(len(matches), np.bool_)
    is_label[matches.owners[matches.labels]] = True
    capitalised = np.fromiter(map(_count_capitalised, matches.surfaces), np.int64, len(matches))
    named = _several_words(features) & is_label & (capitalised >= 2)
    features["common"][named] = 0.0
    features["capital_common"][named] = 0.0


def _correct_person(features: Features, *_: object) -> None:
    """`run_left` and `proper_left` are set to 0 where the span of the match equals that of a named entity that NER
    labels as a person: the capitalised word before it is a title or a role ("Senator Barack Obama")."""
    person = _several_words(features) & (features["name_same"] > 0) & (features["name_person"] > 0)
    features["run_left"][person] = 0.0
    features["proper_left"][person] = 0.0


def _correct_kind(features: Features, kind_clash: Floats, matches: Matches) -> None:
    """`kind_clash` is set to 0 where the match has one candidate: its words tell more about the kind of the entity than
    NER's label, which is often wrong ("Newcastle United" as a person)."""
    unique = _several_words(features) & (features["log_candidates"] == 0)
    kind_clash[unique[matches.owners]] = 0.0


CORRECTIONS: Mapping[str, Correction] = {
    "number": _correct_number,
    "label": _correct_label,
    "person": _correct_person,
    "one candidate": _correct_kind,
}


def _several_words(features: Features) -> Bools:
    """Whether each match has several words: [M]."""
    return features["log_words"] > 0


def _count_capitalised(name: str) -> int:
    """The number of capitalised words, not counting a leading "The"."""
    return sum(word[:1].isupper() for word in name.removeprefix("The ").split(" "))
