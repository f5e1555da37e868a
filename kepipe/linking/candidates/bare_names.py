"""First and last names whose full name is not in the text: "Brad" is Brad Pitt near "Angelina" or "Fight Club".

A person of the graph with that first or last name becomes a candidate only if one of its neighbours in the graph may
be named elsewhere in the text. A full name broken by an empty line is not a name, and neither are its parts.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kepipe.arrays import Ints
from kepipe.linking.candidates.matches import FIRST, LAST, AddedCandidate, Matches
from kepipe.linking.kb.knowledge import Knowledge
from kepipe.linking.kb.sparse import gather
from kepipe.linking.text.batch import TextBatch

MAX_PERSONS = 200
"""Maximum number of persons considered for a first or last name, by descending degree."""
MAX_CANDIDATES = 5
"""Maximum number of these that become candidates."""
PRIOR = 0.5
"""Their total share of p(entity | name), where the surface is also a name of the graph."""
SpanKey = tuple[int, int]
"""Start and end, batch offsets."""


def bare_names(
    batch: TextBatch, matches: Matches, knowledge: Knowledge, taken: Mapping[SpanKey, object]
) -> dict[SpanKey, list[AddedCandidate]]:
    """Candidates of the one-word names that are not in `taken`, by span."""
    spans = _single_words(batch, knowledge, taken)
    if not spans:
        return {}
    candidates: dict[SpanKey, list[AddedCandidate]] = {}
    texts = batch.number(np.asarray([start for start, _ in spans], np.int64))
    candidate_text = batch.number(matches.starts)[matches.owners] if len(matches) else np.zeros(0, np.int64)
    likely = matches.priors >= 0.2
    for text in np.unique(texts).tolist():
        words: dict[str, list[SpanKey]] = {}
        for span, number in zip(spans, texts.tolist(), strict=True):
            if number == text:
                words.setdefault(batch.text[slice(*span)], []).append(span)
        others = np.unique(matches.rows[(candidate_text == text) & likely])
        for word, persons in _supported_persons(words, others, knowledge).items():
            for span in words[word]:
                unbroken = [
                    person
                    for person in persons
                    if not _is_broken(batch.text, span, knowledge.labels[person.row])
                ]
                if unbroken:
                    candidates[span] = unbroken
    return candidates


def _single_words(batch: TextBatch, knowledge: Knowledge, taken: Mapping[SpanKey, object]) -> list[SpanKey]:
    """Capitalised single words, not part of a longer run, that are a first or last name of a person."""
    runs = batch.runs
    if not len(runs) or not len(knowledge.name_parts.words):
        return []
    text, known = batch.text, knowledge.name_parts.word_indices
    spans = []
    for start, end in runs.tolist():
        surface = text[start:end]
        if surface.endswith(("'s", "’s")):
            end, surface = end - 2, surface[:-2]
        if surface in known and (start, end) not in taken:
            spans.append((start, end))
    return spans


def _supported_persons(
    words: Mapping[str, list[SpanKey]], others: Ints, knowledge: Knowledge
) -> dict[str, list[AddedCandidate]]:
    """The candidates of each word: persons with a neighbour among `others` or the persons of another word.

    Each such neighbour votes with 1 / √degree; the persons with the most votes share `PRIOR` in proportion to them.
    """
    persons = {word: knowledge.name_parts.persons(word, MAX_PERSONS) for word in words}
    supported: dict[str, list[AddedCandidate]] = {}
    for word, rows in persons.items():
        context = np.unique(np.concatenate([others, *(each for one, each in persons.items() if one != word)]))
        context = np.setdiff1d(context, rows)
        if not len(context) or not len(rows):
            continue
        owner, neighbours = gather(knowledge.neighbours, rows)
        in_text = np.isin(neighbours, context)
        degrees = np.diff(knowledge.neighbours.indptr)[neighbours[in_text]]
        votes = np.bincount(owner[in_text], 1.0 / np.sqrt(np.maximum(degrees, 1)), len(rows))
        best = np.argsort(-votes, kind="stable")[:MAX_CANDIDATES]
        best = best[votes[best] > 0]
        if len(best):
            total = float(votes[best].sum())
            supported[word] = [
                AddedCandidate(
                    int(rows[at]),
                    PRIOR * float(votes[at]) / total,
                    _name_part(word, knowledge.labels[rows[at]]),
                )
                for at in best.tolist()
            ]
    return supported


def _is_broken(text: str, span: SpanKey, label: str) -> bool:
    """Whether the rest of the person's `label` adjoins the span, separated only by white space such as a line break."""
    start, end = span
    rest_before, name_part, rest_after = label.partition(text[start:end])
    if not name_part or not rest_before + rest_after:
        return False
    width = 2 * len(label)  # leaves room for white space
    before, after = text[max(0, start - width) : start].rstrip(), text[end : end + width].lstrip()
    return before.endswith(rest_before.rstrip()) and after.startswith(rest_after.lstrip())


def _name_part(word: str, label: str) -> int:
    return FIRST if label.startswith(f"{word} ") else LAST
