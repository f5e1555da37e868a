"""The gender of an entity: from the graph's triples, else from the pronouns in its English description."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt

from kepipe.arrays import Ints
from kepipe.linking.kb.kinds import KINDS
from kg.store import Graph

Genders = npt.NDArray[np.int8]

UNKNOWN, MALE, FEMALE = 0, 1, 2
_OBJECTS = {
    **dict.fromkeys(("male", "male organism", "man", "masculine", "transgender male", "男", "男性"), MALE),
    **dict.fromkeys(("female", "female organism", "woman", "feminine", "transgender female", "女", "女性"), FEMALE),
}  # fmt: skip
MIN_SHARE = 0.9
"""A relation states genders if at least this share of its triples has an object in `_OBJECTS`."""
_PRONOUNS = re.compile(r"\b(?:(he|him|his|himself)|(she|her|hers|herself|actress))\b", re.IGNORECASE)


def genders(graph: Graph, kinds: Ints) -> Genders:
    """The gender of each entity: [E]. `kinds` [E]: only the descriptions of persons are read."""
    by_row = _stated(graph)
    person = KINDS.index("person")
    for row in np.flatnonzero((by_row == UNKNOWN) & (kinds == person)).tolist():
        by_row[row] = gender_of(graph.descriptions[row])
    return by_row


def _stated(graph: Graph) -> Genders:
    """Genders from relations whose objects are nearly all male or female; UNKNOWN for entities stated to be both."""
    objects = np.fromiter(
        (_OBJECTS.get(label.lower(), UNKNOWN) for label in graph.labels), np.int8, len(graph)
    )
    heads, relations, tails = graph.triples("train").T
    stated = objects[tails]
    number = len(graph.relations)
    telling = np.bincount(relations[stated > 0], minlength=number)
    tells = telling >= np.maximum(MIN_SHARE * np.bincount(relations, minlength=number), 1)
    heads, stated = heads[tells[relations]], stated[tells[relations]]
    male, female = (np.isin(np.arange(len(graph)), heads[stated == gender]) for gender in (MALE, FEMALE))
    return np.select([male & ~female, female & ~male], [MALE, FEMALE], UNKNOWN).astype(np.int8)


def gender_of(description: str) -> int:
    """The gender of most pronouns in a description; UNKNOWN if there are none or as many of each."""
    pronouns = [MALE if he else FEMALE for he, _ in _PRONOUNS.findall(description)]
    balance = pronouns.count(FEMALE) - pronouns.count(MALE)
    return FEMALE if balance > 0 else MALE if balance < 0 else UNKNOWN
