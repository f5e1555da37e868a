"""Evidence against mentions that does not apply to names of several words, such as "Toy Story" and "1968 Summer
Olympics": features that are set to what they are for other names.

The general weights were learned without this (`python -m tests.benchmarks.general`).
"""

from __future__ import annotations

import numpy as np

from kepipe.arrays import Bools, Floats
from kepipe.linking.candidates.matches import Matches
from kepipe.linking.features.surroundings import MATCH_FEATURES


def correct_full_names(of_match: Floats, kind_clash: Floats, matches: Matches) -> None:
    """Change the match features [len(MATCH_FEATURES), M] and `kind_clash` [P] of names of several words, in place:

    - A number before a capitalised word does not count as lower case ("20th Century Fox").
    - A label with two capitalised words besides "The" is not its common words ("Toy Story").
    - Where NER finds a person with this very name, what precedes is no part of it ("Senator Barack Obama").
    - NER's label says nothing against the only candidate (it takes "Newcastle United" for a person).
    """
    rows = dict(zip(MATCH_FEATURES, of_match, strict=True))
    several = rows["log_words"] > 0
    capitals = np.fromiter(map(_capitals, matches.surfaces), np.int64, len(matches))
    digit = np.fromiter((surface[0].isdigit() for surface in matches.surfaces), np.bool_, len(matches))
    rows["capital"][several & digit & (capitals > 0)] = 1.0
    title = several & _has_label(matches) & (capitals >= 2)
    person = several & (rows["name_same"] > 0) & (rows["name_person"] > 0)
    for names, mask in ((("common", "capital_common"), title), (("run_left", "proper_left"), person)):
        for name in names:
            rows[name][mask] = 0.0
    kind_clash[(several & (rows["log_candidates"] == 0))[matches.owners]] = 0.0


def _capitals(name: str) -> int:
    """The number of capitalised words besides a leading "The"."""
    return sum(word[:1].isupper() for word in name.removeprefix("The ").split(" "))


def _has_label(matches: Matches) -> Bools:
    """Whether each match [M] is the label of a candidate."""
    is_label = np.zeros(len(matches), np.bool_)
    is_label[matches.owners[matches.labels]] = True
    return is_label
