"""Which kind of thing an entity is: a person, a place … read off what its graph says of it in English.

NER tells the same kinds apart, so that the two can be held against each other without anything to learn from.
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
"""What, besides the words for a person, says that a person can be that."""
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
TERMS = 0.25
"""The share of labels in small letters from which on a graph is taken for a terminology."""
SURE = 0.8
"""The least mean share at which an entity gets its kind from its roles in triples."""
_LOOKED_AT = 300
"""Characters of a description: its first sentence says what the thing is."""


def kinds(graph: Graph) -> Ints:
    """The row in `KINDS` of each entity: [E]. Types decide, else the description, else the triples; 0: none tells.

    What is written in lower case ("diplomat") is a concept, and no person though it be a kind of person.
    """
    concept = concepts(graph)
    return _by_triples(graph, _by_words(graph, concept), concept)


def concepts(graph: Graph) -> Bools:
    """Whether the label of each entity begins in lower case, as that of what has no proper name does: [E].

    Its first word must have no capital: an iPhone is a name, "vitamin C" is none. In a terminology, where at least
    a share of `TERMS` is such, so is what ends in lower case ("Duchenne muscular dystrophy").
    """
    first = (label.split(" ", 1)[0] for label in graph.labels)
    small = np.fromiter((word[:1].islower() and word.islower() for word in first), np.bool_, len(graph))
    if not len(graph) or small.mean() < TERMS:
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
    """Whether each entity is a concept that a person can be, an actor, a mayor, a captain: [E].

    It is enough that its label's last word says so, or a type of it, or its description, read as by `kind_of`.
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
            or says_person(_said_to_be(graph.descriptions[row]))
        )
    return occupation


def teams(graph: Graph) -> Bools:
    """Whether a type of each entity, or the noun phrase of its description, says that it is a team or a club: [E]."""
    of_type = {name: bool(_TEAM & set(_WORD.findall(name.lower()))) for name in graph.type_names}
    is_team = (
        any(of_type[name] for name in graph.types(row)) or bool(_TEAM & set(_said_to_be(description)))
        for row, description in enumerate(graph.descriptions)
    )
    return np.fromiter(is_team, np.bool_, len(graph))


def _by_triples(graph: Graph, known: Ints, concept: Bools) -> Ints:
    """The kinds of entities of unknown kind by their roles in triples: what is the capital of something is a place.

    The head and the tail of each relation are roles, which have the kinds of their known entities in some share; an
    entity gets the kind whose mean share over its roles is the greatest and at least `SURE`.
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
    sure = sums.max(axis=1) >= SURE * np.maximum(asked_roles, 1)
    return np.where(sure, best, known)


def kind_of(description: str) -> int:
    """The kind that a description gives: "… is a 1998 American drama film directed by …" is a work.

    What counts is the last known word before the noun phrase after "is" ends, or of the description's first phrase.
    """
    return _first(_said_to_be(description)[::-1])


def _said_to_be(description: str) -> list[str]:
    """The words of the noun phrase after "is", or of the description's first one."""
    sentence = description[:_LOOKED_AT]
    verb = _IS.search(sentence)
    return list(_noun_phrase(sentence[verb.end() :] if verb else sentence))


def _noun_phrase(text: str) -> Iterator[str]:
    """The words up to the first stop or word that cannot belong to the phrase; commas join ("actress, singer")."""
    for word in _WORD.findall(re.split(r"[.;:(]", text.lower(), maxsplit=1)[0]):
        if word in _HEAD_ENDS:
            return
        yield word


def _first(words: list[str]) -> int:
    return next((_KIND_OF[word] for word in words if word in _KIND_OF), 0)
