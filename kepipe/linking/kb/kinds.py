"""The coarse kind of an entity (person, place, …), derived from the graph's types, descriptions and triples.

NER distinguishes the same kinds, so the two can be compared without training data.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np

from kepipe.arrays import Bools, Ints
from kg.store import Graph

KINDS = ("none", "place", "person", "organisation", "people", "language", "work")
_WORDS: Mapping[str, str] = {
    "place": "airport area arrondissement bay borough building capital castle cathedral church city commune"
    " continent country county creek department desert district forest hamlet hill hotel island lake location"
    " metropolis mountain municipality museum nation neighborhood neighbourhood ocean park parish peninsula place"
    " prefecture province region republic resort river sea settlement stadium state street suburb territory"
    " theatre town township valley village volcano",
    "person": "activist actor actress anchor animator architect arranger artist astronaut athlete author baseballer"
    " bassist biologist boxer businessman businesswoman cartoonist cellist celebrity chemist choreographer"
    " cinematographer coach comedian comedienne commentator composer conductor cricketer critic dancer designer"
    " diplomat director dramatist drummer economist editor emperor engineer entertainer entrepreneur explorer"
    " filmmaker footballer general goalkeeper golfer guitarist historian host human illustrator inventor journalist"
    " judge king lawyer lyricist mathematician midfielder model monarch musician novelist officer painter"
    " performer person philanthropist philosopher photographer physician physicist pianist pitcher playwright player"
    " poet politician pope president presenter prince princess producer professor psychologist queen rapper"
    " saxophonist scholar scientist screenwriter sculptor singer singer-songwriter soldier songwriter statesman"
    " striker swimmer televangelist theologian violinist vocalist wrestler writer",
    "organisation": "agency airline army association band bank brand broadcaster brewery channel club college"
    " committee company conglomerate consortium cooperative corporation distributor duo ensemble federation firm"
    " foundation franchise government group institute institution label laboratory league manufacturer ministry"
    " network newspaper nonprofit orchestra organisation organization parliament party publisher quartet retailer"
    " school seminary senate society station studio subsidiary team trio union university",
    "language": "dialect language languages",
    "people": "ethnicity nationality people peoples religion tribe",
    "work": "album anime battle book cartoon championship comic competition conflict convention crisis documentary"
    " election ep epic event fantasy festival film game magazine manga massacre miniseries movie musical novel opera"
    " play poem revolution series show single sitcom song soundtrack symphony tournament treaty trilogy war work",
}
_KIND_OF = {word: KINDS.index(kind) for kind, words in _WORDS.items() for word in words.split()}
_CAN_BE = frozenset(
    re.findall(
        r"\w+",
        "assistant aviator career clergyman consultant craftsperson executive expert job leader man manager minister"
        " occupation office performer position post practitioner priest profession rank role someone specialist"
        " supervisor teacher tradesperson woman worker",
    )
)
"""Words, besides those of the kind "person", that mark a concept as an occupation or role."""
_TEAM = frozenset(("club", "franchise", "team"))
_IS = re.compile(r"\b(?:is|was|are|were|is/was)\b (?:either )?(?:the name of |one of |the )?")
_WORD = re.compile(r"[a-z][a-z'-]*")
_HEAD_ENDS = frozenset(
    re.findall(
        r"\w+",
        "of in on at from for by with who which that where when whose whom as to between within situated near located"
        " based born directed created produced written starring set released developed published known best",
    )
)
MIN_LOWERCASE_SHARE = 0.25
"""A graph with at least this share of lower-case labels is a terminology."""
MIN_MEAN_SHARE = 0.8
"""An entity gets a kind from its roles in triples only if the mean share of that kind is at least this."""
_MAX_CHARACTERS = 300
"""Only this many characters of a description are read: its first sentence gives the kind."""


def kinds(graph: Graph) -> Ints:
    """The index into `KINDS` of each entity: [E], from its types, else its description, else its triples; 0: unknown.

    An entity with a lower-case label ("diplomat") is a concept, not a person, even if it is a kind of person.
    """
    concept = concepts(graph)
    return _by_triples(graph, _by_words(graph, concept), concept)


def concepts(graph: Graph) -> Bools:
    """Whether each entity is a concept: its label is not a proper name but begins in lower case: [E].

    The first word must have no capital at all: "iPhone" is a name, "vitamin C" is a concept. In a terminology (at least
    `MIN_LOWERCASE_SHARE` of the labels begin in lower case), labels that end in lower case ("Duchenne muscular
    dystrophy") are concepts too.
    """
    first = (label.split(" ", 1)[0] for label in graph.labels)
    small = np.fromiter((word[:1].islower() and word.islower() for word in first), np.bool_, len(graph))
    if not len(graph) or small.mean() < MIN_LOWERCASE_SHARE:
        return small
    last = (label.rsplit(" ", 1)[-1] for label in graph.labels)
    return small | np.fromiter((word.isalpha() and word.islower() for word in last), np.bool_, len(graph))


def _by_words(graph: Graph, concept: Bools) -> Ints:
    of_type = {name: _first(_WORD.findall(name.lower())) for name in graph.type_names}
    by_row = np.zeros(len(graph), np.int64)
    for row in np.flatnonzero(~concept).tolist():
        types = (of_type[name] for name in graph.types(row)) if of_type else ()
        by_row[row] = next(filter(None, types), 0) or kind_of(graph.descriptions[row])
    return by_row


def occupations(graph: Graph) -> Bools:
    """Whether each entity is a concept that describes persons (actor, mayor, captain): [E].

    Any one of these is enough: the last word of its label, one of its types, or its description (read as in `kind_of`).
    """
    person = KINDS.index("person")
    tells = {word: kind == person for word, kind in _KIND_OF.items()} | dict.fromkeys(_CAN_BE, True)

    def says_person(words: list[str]) -> bool:
        return next((tells[word] for word in reversed(words) if word in tells), False)

    of_type = {name: says_person(_WORD.findall(name.lower())) for name in graph.type_names}
    occupation = concepts(graph)
    for row in np.flatnonzero(occupation).tolist():
        last = _WORD.findall(graph.labels[row].lower())[-1:]
        occupation[row] = (
            says_person(last)
            or any(of_type[name] for name in graph.types(row))
            or says_person(_predicate_noun_phrase(graph.descriptions[row]))
        )
    return occupation


def teams(graph: Graph) -> Bools:
    """Whether each entity is a team or club by one of its types or the noun phrase of its description: [E]."""
    of_type = {name: bool(_TEAM & set(_WORD.findall(name.lower()))) for name in graph.type_names}
    is_team = (
        any(of_type[name] for name in graph.types(row))
        or bool(_TEAM & set(_predicate_noun_phrase(description)))
        for row, description in enumerate(graph.descriptions)
    )
    return np.fromiter(is_team, np.bool_, len(graph))


def _by_triples(graph: Graph, known: Ints, concept: Bools) -> Ints:
    """Infer unknown kinds from roles in triples: the tail of "capital" is a place.

    Each relation has two roles, head and tail. The distribution of kinds of a role is taken over its entities of
    known kind; an entity gets the kind with the largest mean share over its roles, if at least `MIN_MEAN_SHARE`.
    """
    head, relation, tail = graph.triples("train").astype(np.int64).T
    number = 2 * len(graph.relations)  # of roles
    taken = np.unique(np.concatenate((head * number + 2 * relation, tail * number + 2 * relation + 1)))
    entities, roles = np.divmod(taken, max(number, 1))
    is_known = known[entities] > 0
    counts = np.zeros((number, len(KINDS)))
    np.add.at(counts, (roles[is_known], known[entities[is_known]]), 1.0)
    shares = counts / (counts.sum(axis=1, keepdims=True) + 1.0)
    asked = ~is_known & ~concept[entities]
    sums = np.zeros((len(graph), len(KINDS)))
    np.add.at(sums, entities[asked], shares[roles[asked]])
    best = sums.argmax(axis=1)
    asked_roles = np.bincount(entities[asked], minlength=len(graph))
    sure = sums.max(axis=1) >= MIN_MEAN_SHARE * np.maximum(asked_roles, 1)
    return np.where(sure, best, known)


def kind_of(description: str) -> int:
    """The kind given by a description: "… is a 1998 American drama film directed by …" is a work.

    The last word with a known kind decides, in the noun phrase after "is", or else in the description's first phrase.
    """
    return _first(_predicate_noun_phrase(description)[::-1])


def _predicate_noun_phrase(description: str) -> list[str]:
    """The words of the noun phrase after "is", or else of the description's first noun phrase."""
    sentence = description[:_MAX_CHARACTERS]
    verb = _IS.search(sentence)
    return list(_noun_phrase(sentence[verb.end() :] if verb else sentence))


def _noun_phrase(text: str) -> Iterator[str]:
    """The words up to the first punctuation or word that ends the phrase; commas do not ("actress, singer")."""
    for word in _WORD.findall(re.split(r"[.;:(]", text.lower(), maxsplit=1)[0]):
        if word in _HEAD_ENDS:
            return
        yield word


def _first(words: list[str]) -> int:
    return next((_KIND_OF[word] for word in words if word in _KIND_OF), 0)
