"""First and last names with nothing to refer back to: "Brad" is Brad Pitt beside "Angelina" or "Fight Club".

Whoever of the graph's persons is called so may be meant, but is a candidate only where a neighbour in the graph may be
named elsewhere in the text. A full name that is broken by an empty line is not a name, and neither are its parts.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kepipe.arrays import Ints
from kepipe.linking.candidates.matches import FIRST, LAST, Given, Matches
from kepipe.linking.kb.knowledge import Knowledge
from kepipe.linking.kb.sparse import gather
from kepipe.linking.text.batch import TextBatch

MOST = 200
"""No more persons of one name are looked at,"""
KEPT = 5
"""and no more of them are candidates."""
PRIOR = 0.5
"""What they share of p(entity | name), where the graph has others of that name."""
Place = tuple[int, int]


def bare_names(
    batch: TextBatch, matches: Matches, knowledge: Knowledge, taken: Mapping[Place, object]
) -> dict[Place, list[Given]]:
    """Where names of one word stand that are not `taken`, and who may be meant, with what share."""
    places = _single_words(batch, knowledge, taken)
    if not places:
        return {}
    found: dict[Place, list[Given]] = {}
    texts = batch.number(np.asarray([start for start, _ in places], np.int64))
    named = batch.number(matches.starts)[matches.owners] if len(matches) else np.zeros(0, np.int64)
    likely = matches.priors >= 0.2
    for text in np.unique(texts).tolist():
        words: dict[str, list[Place]] = {}
        for place, number in zip(places, texts.tolist(), strict=True):
            if number == text:
                words.setdefault(batch.text[slice(*place)], []).append(place)
        others = np.unique(matches.rows[(named == text) & likely])
        for word, persons in _supported(words, others, knowledge).items():
            for place in words[word]:
                whole = [
                    given
                    for given in persons
                    if not _is_broken(batch.text, place, knowledge.labels[given.row])
                ]
                if whole:
                    found[place] = whole
    return found


def _single_words(batch: TextBatch, knowledge: Knowledge, taken: Mapping[Place, object]) -> list[Place]:
    """Runs of capitals of one word that persons are called by."""
    runs = batch.runs
    if not len(runs) or not len(knowledge.name_parts.words):
        return []
    text, known = batch.text, knowledge.name_parts.places
    places = []
    for start, end in runs.tolist():
        surface = text[start:end]
        if surface.endswith(("'s", "’s")):
            end, surface = end - 2, surface[:-2]
        if surface in known and (start, end) not in taken:
            places.append((start, end))
    return places


def _supported(
    words: Mapping[str, list[Place]], others: Ints, knowledge: Knowledge
) -> dict[str, list[Given]]:
    """By word, the persons with neighbours among those of other words and `others`, by their number."""
    persons = {word: knowledge.name_parts.persons(word, MOST) for word in words}
    supported: dict[str, list[Given]] = {}
    for word, rows in persons.items():
        rest = np.unique(np.concatenate([others, *(each for one, each in persons.items() if one != word)]))
        rest = np.setdiff1d(rest, rows)
        if not len(rest) or not len(rows):
            continue
        owner, beyond = gather(knowledge.neighbours, rows)
        near = np.isin(beyond, rest)
        degrees = np.diff(knowledge.neighbours.indptr)[beyond[near]]
        votes = np.bincount(owner[near], 1.0 / np.sqrt(np.maximum(degrees, 1)), len(rows))
        best = np.argsort(-votes, kind="stable")[:KEPT]
        best = best[votes[best] > 0]
        if len(best):
            total = float(votes[best].sum())
            supported[word] = [
                Given(
                    int(rows[at]), PRIOR * float(votes[at]) / total, _part(word, knowledge.labels[rows[at]])
                )
                for at in best.tolist()
            ]
    return supported


def _is_broken(text: str, place: Place, label: str) -> bool:
    """Whether the rest of a person's name stands beside a part of it, with nothing but white space between."""
    start, end = place
    rest_before, found, rest_after = label.partition(text[start:end])
    if not found or not rest_before + rest_after:
        return False
    around = 2 * len(label)  # white space of some length
    before, after = text[max(0, start - around) : start].rstrip(), text[end : end + around].lstrip()
    return before.endswith(rest_before.rstrip()) and after.startswith(rest_after.lstrip())


def _part(word: str, label: str) -> int:
    return FIRST if label.startswith(f"{word} ") else LAST
