"""Corrections of the features of names of several words, such as "Toy Story" and "1968 Summer Olympics".

Six features are set to a value that does not count against such a name: `capital` to 1, and `common`, `capital_common`,
`run_left`, `proper_left` and `kind_clash` to 0. All other features keep their values. Where `capital` is set to 1,
`capital_common`, `sentence_start` and `after_unknown`, which were computed with `capital` 0, stay 0.

The general weights were learned without these corrections (`python -m tests.benchmarks.general`).
"""

from __future__ import annotations

import numpy as np

from kepipe.arrays import Bools, Floats
from kepipe.linking.candidates.matches import Matches
from kepipe.linking.features.surroundings import MATCH_FEATURES


def correct_full_names(of_match: Floats, kind_clash: Floats, matches: Matches) -> None:
    """Correct the match features [len(MATCH_FEATURES), M] and `kind_clash` [P] in place, for matches of several words:

    - `capital` is set to 1 where the first character is a digit and some word is capitalised: a digit has no case, so
      it does not show that the name is in lower case ("20th Century Fox").
    - `common` and `capital_common` are set to 0 where the match is the label of a candidate and has two capitalised
      words, not counting a leading "The": such a match is a name, even if its words are common ("Toy Story").
    - `run_left` and `proper_left` are set to 0 where the span of the match equals that of a named entity that NER
      labels as a person: the capitalised word before it is a title or a role ("Senator Barack Obama").
    - `kind_clash` is set to 0 where the match has one candidate: its words tell more about the kind of the entity than
      NER's label, which is often wrong ("Newcastle United" as a person).
    """
    features = dict(zip(MATCH_FEATURES, of_match, strict=True))
    several_words = features["log_words"] > 0  # this and the masks below: [M]
    capitalised = np.fromiter(map(_count_capitalised, matches.surfaces), np.int64, len(matches))
    digit_first = np.fromiter((surface[0].isdigit() for surface in matches.surfaces), np.bool_, len(matches))
    numbered_mask = several_words & digit_first & (capitalised > 0)
    label_mask = several_words & _is_label(matches) & (capitalised >= 2)
    person_mask = several_words & (features["name_same"] > 0) & (features["name_person"] > 0)
    unique_mask = several_words & (features["log_candidates"] == 0)
    features["capital"][numbered_mask] = 1.0
    features["common"][label_mask] = 0.0
    features["capital_common"][label_mask] = 0.0
    features["run_left"][person_mask] = 0.0
    features["proper_left"][person_mask] = 0.0
    kind_clash[unique_mask[matches.owners]] = 0.0


def _count_capitalised(name: str) -> int:
    """The number of capitalised words, not counting a leading "The"."""
    return sum(word[:1].isupper() for word in name.removeprefix("The ").split(" "))


def _is_label(matches: Matches) -> Bools:
    """Whether each match [M] is the label of one of its candidates."""
    is_label = np.zeros(len(matches), np.bool_)
    is_label[matches.owners[matches.labels]] = True
    return is_label
