"""What a linker misses in texts, and why.

A span that looks like a name (what NER sees, else runs of capitals) and is not linked has one of five reasons: the
graph has no such *alias*; it has one, written in a *case* that does not allow this text; a link overlaps it, so that
the *boundary* differs; its best candidate is *below the threshold*; it lost against an *overlap*ping name.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kepipe.linking.decide import decide
from kepipe.linking.fuzzy import name_spans, nearest_name
from kepipe.linking.linker import Linker
from kepipe.linking.reading import Reading
from kepipe.types import Document
from kg.lexicon import Lexicon
from kg.surface import fold, normalise

Reason = Literal["no alias", "case", "boundary", "below the threshold", "overlap"]
SUGGESTED_FROM = 200
"""Aliases are suggested for this many of the most frequent names without one."""


@dataclass(frozen=True)
class Unlinked:
    """A name that was not linked `count` times for one reason; `example`: its surroundings once."""

    surface: str
    reason: Reason
    count: int
    example: str


@dataclass(frozen=True)
class Contested:
    """A name linked `count` times though the second candidate came close: mean scores of the first two."""

    surface: str
    count: int
    first: str
    second: str
    scores: tuple[float, float]


@dataclass(frozen=True)
class Suggestion:
    """A name without an alias, met `count` times, that is written almost like a `name` of `entity`; 0..100."""

    surface: str
    count: int
    entity: str
    name: str
    likeness: float


@dataclass(frozen=True)
class Diagnosis:
    """`spans`: what looks like a name, `linked`: how many of these are linked exactly."""

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


def examine(
    linker: Linker,
    documents: Iterable[tuple[Document, Reading]],
    shown: int = 15,
    threshold: float | None = None,
) -> Diagnosis:
    """Link the documents and gather what was missed, the most frequent first."""
    threshold = linker.ranker.threshold if threshold is None else threshold
    missed: Counter[tuple[str, Reason]] = Counter()
    examples: dict[tuple[str, Reason], str] = {}
    rivals: dict[tuple[str, int, int], list[tuple[float, float]]] = {}
    entities: set[int] = set()
    size = words = mentions = spans = linked = 0
    for document, reading in documents:
        text = document.text
        matches, features, _ = linker.examine(text, reading, document.title)
        scores = linker.ranker.score(features)
        decided = decide(matches, scores, threshold)
        at = {(int(matches.starts[match]), int(matches.ends[match])): match for match in range(len(matches))}
        chosen = [(int(matches.starts[match]), int(matches.ends[match])) for match, _, _ in decided]
        best = np.zeros(len(matches))
        np.maximum.at(best, matches.owners, scores)
        for start, end in name_spans(text, reading, linker.casing):
            spans += 1
            if (start, end) in chosen:
                linked += 1
                continue
            surface = text[start:end]
            place = at.get((start, end))
            if place is not None:
                reason: Reason = "overlap" if best[place] >= threshold else "below the threshold"
            elif any(left < end and start < right for left, right in chosen):
                reason = "boundary"
            else:
                reason = "case" if _has_key(linker.gazetteer.lexicon, surface) else "no alias"
            missed[surface, reason] += 1
            examples.setdefault((surface, reason), _around(text, start, end))
        for match, row, _ in decided:
            entities.add(row)
            own = np.flatnonzero(matches.owners == match)
            if len(own) > 1:
                first, second = own[np.argsort(-scores[own], kind="stable")[:2]].tolist()
                key = (matches.surfaces[match], int(matches.rows[first]), int(matches.rows[second]))
                rivals.setdefault(key, []).append((float(scores[first]), float(scores[second])))
        size, words, mentions = size + 1, words + len(text.split()), mentions + len(decided)
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
        tuple(Unlinked(*key, count, examples[key]) for key, count in ranked[:shown]),
        _contested(linker, rivals, shown),
        _suggest(linker, [(key[0], count) for key, count in ranked if key[1] == "no alias"], shown),
    )


def _has_key(lexicon: Lexicon, surface: str) -> bool:
    key = fold(normalise(surface))
    place = bisect_left(lexicon.keys, key)
    return place < len(lexicon.keys) and lexicon.keys[place] == key


def _around(text: str, start: int, end: int, width: int = 40) -> str:
    return " ".join(
        f"{text[max(start - width, 0) : start]}[{text[start:end]}]{text[end : end + width]}".split()
    )


def _contested(
    linker: Linker, rivals: dict[tuple[str, int, int], list[tuple[float, float]]], shown: int
) -> tuple[Contested, ...]:
    labels = linker.knowledge.labels
    found = []
    for (surface, first, second), scores in rivals.items():
        top, next_ = np.asarray(scores).mean(axis=0).tolist()
        found.append(Contested(surface, len(scores), labels[first], labels[second], (top, next_)))
    found.sort(key=lambda each: (-each.count * each.scores[1] / max(each.scores[0], 1e-9), each.surface))
    return tuple(found[:shown])


def _suggest(linker: Linker, unknown: Sequence[tuple[str, int]], shown: int) -> tuple[Suggestion, ...]:
    found = []
    for surface, count in unknown[:SUGGESTED_FROM]:
        near = nearest_name(linker.gazetteer.lexicon, surface)
        if near is not None:
            found.append(Suggestion(surface, count, linker.knowledge.ids[near.row], near.name, near.likeness))
    return tuple(found[:shown])
