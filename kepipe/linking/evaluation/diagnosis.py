"""What a linker misses in texts, and why.

Examined are spans that look like a name (`kepipe.linking.text.namelike`), or, in a terminology, like a term
(`term_spans`). An unlinked one has one of seven reasons: the graph has *no alias* of this form; it has one in another
*case*; a link overlaps the span with another *boundary*; the best candidate is *below the threshold*, of a kind that is
*not marked*, or, with a gate, *no name to NER*; a link of an *overlap*ping name was preferred.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kepipe.arrays import Bools, Floats
from kepipe.data.document import Document
from kepipe.linking.candidates.fuzzy import nearest_name
from kepipe.linking.candidates.matches import Matches
from kepipe.linking.decision.decide import decide
from kepipe.linking.decision.policy import AS_LEARNED, Policy
from kepipe.linking.features.describe import FEATURES
from kepipe.linking.kb.terms import term_spans
from kepipe.linking.linker import Linker
from kepipe.linking.text.annotations import Annotations
from kepipe.linking.text.batch import TextBatch
from kepipe.linking.text.casing import Casing
from kepipe.linking.text.namelike import namelike
from kepipe.linking.text.spans import surrounding_text, touches
from kepipe.linking.text.words import count_words
from kg.lexicon import Lexicon
from kg.surface import fold, normalise

Reason = Literal[
    "no alias", "case", "boundary", "below the threshold", "not marked", "no name to NER", "overlap"
]
Decided = tuple[int, int, float]
Rivals = dict[tuple[str, int, int], list[tuple[float, float]]]
"""(Surface, row of the best candidate, row of the second) → their scores at each occurrence."""
SUGGESTED_FROM = 200
"""Aliases are suggested for this many of the most frequent names without an alias."""


@dataclass(frozen=True)
class Unlinked:
    """A name that was left unlinked `count` times for one reason; `example`: one occurrence in context."""

    surface: str
    reason: Reason
    count: int
    example: str


@dataclass(frozen=True)
class Contested:
    """A name linked `count` times, with the mean scores of its best two candidates.

    `first`, `second`: the candidates' labels, with their ids if the labels are equal.
    """

    surface: str
    count: int
    first: str
    second: str
    scores: tuple[float, float]


@dataclass(frozen=True)
class Suggestion:
    """A surface without an alias, seen `count` times, that is similar to `name`, a name of the entity with id `entity`
    and label `label`; `likeness`: the similarity, 0..100.
    """

    surface: str
    count: int
    entity: str
    label: str
    name: str
    likeness: float


@dataclass(frozen=True)
class Diagnosis:
    """`spans`: number of name-like spans; `linked`: how many of these are linked exactly.

    In `words`, each Chinese character counts as one word.
    """

    documents: int
    words: int
    mentions: int
    entities: int
    spans: int
    linked: int
    reasons: dict[str, int]
    unlinked: tuple[Unlinked, ...]
    contested: tuple[Contested, ...]
    suggestions: tuple[Suggestion, ...]


def diagnose(
    linker: Linker,
    documents: Iterable[tuple[Document, Annotations]],
    limit: int = 15,
    policy: Policy = AS_LEARNED,
) -> Diagnosis:
    """Link the documents and collect what was missed, the most frequent first."""
    documents = list(documents)
    casing = _casing(linker, [document.text for document, _ in documents])
    threshold = linker.ranker.threshold if policy.threshold is None else policy.threshold
    marks = policy.marks_of(linker.marks)
    missed: Counter[tuple[str, Reason]] = Counter()
    examples: dict[tuple[str, Reason], str] = {}
    rivals: Rivals = {}
    entities: set[str] = set()
    size = words = mentions = spans = linked = 0
    for document, annotation in documents:
        text = document.text
        matches, features, _ = linker.featurize(text, annotation, document.title)
        batch = TextBatch((text,), ("",), (annotation,))
        scores = linker.ranker.score(features, linker.evidence(batch, matches))
        refused: dict[Reason, Bools] = {"not marked": ~marks.allows(batch, matches, linker.knowledge)}
        if policy.gate and annotation.names is not None:
            refused["no name to NER"] = features[:, FEATURES.index("name_same")] <= 0
        for candidates in refused.values():
            scores[candidates] = -1.0
        decided = decide(matches, scores, threshold)
        links = linker.link(text, annotation, document.title, policy)
        why = _Reasons(linker.gazetteer.lexicon, matches, scores, decided, threshold)
        # Names that are widened by modifiers or articles, joined, or linked though they are not names of the graph.
        why.chosen |= {(link.start, link.end) for link in links}
        for refusal, candidates in refused.items():
            why.refuse(refusal, candidates)
        if linker.knowledge.is_terminology:
            looks_like_name = term_spans(text, linker.knowledge.modifiers, linker.knowledge.heads)
        else:
            looks_like_name = namelike(text, annotation, casing)
        for start, end in looks_like_name:
            # "The Netherlands" is linked with its article, which a name-like span leaves out.
            linked_start = start - 4 if text[max(start - 4, 0) : start].lower() == "the " else start
            reason = None if why.is_linked(linked_start, end) else why.unlinked(start, end, text[start:end])
            spans += 1
            linked += reason is None
            if reason is not None:
                missed[text[start:end], reason] += 1
                examples.setdefault((text[start:end], reason), _around(text, start, end))
        _add_rivals(rivals, matches, scores, decided)
        entities |= {link.entity for link in links}
        size, words, mentions = size + 1, words + count_words(text), mentions + len(links)
    reasons: Counter[str] = Counter()
    for (_, reason), count in missed.items():
        reasons[reason] += count
    ranked = sorted(missed.items(), key=lambda item: (-item[1], item[0]))
    return Diagnosis(
        size,
        words,
        mentions,
        len(entities),
        spans,
        linked,
        dict(reasons.most_common()),
        tuple(Unlinked(*key, count, examples[key]) for key, count in ranked[:limit]),
        _contested(linker, rivals, limit),
        _suggest(linker, [(key[0], count) for key, count in ranked if key[1] == "no alias"], limit),
    )


def _casing(linker: Linker, texts: Sequence[str]) -> Casing:
    """The casing counts of the linker, extended by those of the texts for words it lacks."""
    return Casing(dict(Casing.count(texts).share) | dict(linker.casing.share))


class _Reasons:
    """Why spans of one text are not linked; `decided`: the result of `decide`."""

    def __init__(
        self, lexicon: Lexicon, matches: Matches, scores: Floats, decided: Sequence[Decided], threshold: float
    ) -> None:
        self.lexicon, self.threshold = lexicon, threshold
        spans = list(zip(matches.starts.tolist(), matches.ends.tolist(), strict=True))
        self.match_at = {span: match for match, span in enumerate(spans)}
        self.linked = [spans[match] for match, _, _ in decided]
        self.chosen = set(self.linked)
        self.best = np.zeros(len(matches))
        np.maximum.at(self.best, matches.owners, scores)
        self.owners, self.refusals = matches.owners, dict[int, Reason]()

    def refuse(self, reason: Reason, candidates: Bools) -> None:
        """Give `reason` for the matches of which all candidates are among `candidates`, a mask [P]."""
        for match in np.setdiff1d(self.owners[candidates], self.owners[~candidates]).tolist():
            self.refusals.setdefault(match, reason)

    def is_linked(self, start: int, end: int) -> bool:
        """Whether a link has exactly this span."""
        return (start, end) in self.chosen

    def unlinked(self, start: int, end: int, surface: str) -> Reason | None:
        """The reason, or None if the span is linked."""
        if self.is_linked(start, end):
            return None
        match = self.match_at.get((start, end))
        if match is not None and match in self.refusals:
            return self.refusals[match]
        if match is not None:
            return "overlap" if self.best[match] >= self.threshold else "below the threshold"
        if touches(self.linked, start, end):
            return "boundary"
        return "case" if _has_key(self.lexicon, surface) else "no alias"


def _add_rivals(rivals: Rivals, matches: Matches, scores: Floats, decided: Sequence[Decided]) -> None:
    """Add the scores of the best two candidates of each linked name that has several."""
    bounds = matches.bounds
    for match, _, _ in decided:
        own = np.arange(*bounds[match : match + 2])
        if len(own) > 1:
            first, second = own[np.argsort(-scores[own], kind="stable")[:2]].tolist()
            key = (matches.surfaces[match], int(matches.rows[first]), int(matches.rows[second]))
            rivals.setdefault(key, []).append((float(scores[first]), float(scores[second])))


def _has_key(lexicon: Lexicon, surface: str) -> bool:
    key = fold(normalise(surface))
    place = bisect_left(lexicon.keys, key)
    return place < len(lexicon.keys) and lexicon.keys[place] == key


def _around(text: str, start: int, end: int, width: int = 40) -> str:
    """A span in square brackets with its context, on one line."""
    before, after = surrounding_text(text, start, end, width)
    return " ".join(f"{before}[{text[start:end]}]{after}".split())


def _contested(linker: Linker, rivals: Rivals, limit: int) -> tuple[Contested, ...]:
    labels, ids = linker.knowledge.labels, linker.knowledge.ids
    contested = []
    for (surface, first, second), scores in rivals.items():
        top, next_ = np.asarray(scores).mean(axis=0).tolist()
        alike = labels[first] == labels[second]
        one, other = (f"{labels[row]} [{ids[row]}]" if alike else labels[row] for row in (first, second))
        contested.append(Contested(surface, len(scores), one, other, (top, next_)))
    contested.sort(key=lambda each: (-each.count * each.scores[1] / max(each.scores[0], 1e-9), each.surface))
    return tuple(contested[:limit])


def _suggest(linker: Linker, unknown: Sequence[tuple[str, int]], limit: int) -> tuple[Suggestion, ...]:
    suggestions = []
    for surface, count in unknown[:SUGGESTED_FROM]:
        near = nearest_name(linker.gazetteer.lexicon, surface)
        if near is not None:
            id, label = linker.knowledge.ids[near.row], linker.knowledge.labels[near.row]
            suggestions.append(Suggestion(surface, count, id, label, near.name, near.similarity))
    return tuple(suggestions[:limit])
