"""The entity cloze: a mention in a held-out document is blanked, and its entity is ranked among entities of its type.

This module builds the test, which is the same for every model: the mentions, their windows of text, and the candidates.
`score_candidates` computes a model's answers. A candidate is the label of an entity in the graph, even if the text uses
another name; entities of one type with the same label are one candidate. A case also lists the other entities mentioned
in its window, for models that fuse them: never the true entity, and none whose mention overlaps the blank.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from kepipe.arrays import Floats, Ints
from kepipe.data.alignment import ENTITY, tokenise
from kepipe.data.document import Document, Mention
from kepipe.probes.base import NothingToAsk
from kepipe.probes.held_out import Links
from kepipe.studies.intervals import FEWEST_CLUSTERS
from kepipe.tokenization.tokenizer import Tokenizer
from kg.store import Graph

Name = tuple[int, ...]
"""The tokens of an entity's label."""

FEWEST = 2
"""Types with fewer candidates are skipped."""


class Link(NamedTuple):
    """A mention of `entity` that starts at token `place` of a window, not counting the blank."""

    place: int
    entity: str


@dataclass(frozen=True)
class Case:
    """A blank: characters start..end of a document, between the tokens `left` and `right` of its window.

    `links`: the other mentions of the window, as linked.
    """

    document: str
    title: str
    start: int
    end: int
    surface: str
    before: str
    after: str
    type: str
    entity: str
    label: str
    name: Name
    left: Ints
    right: Ints
    links: tuple[Link, ...] = ()


@dataclass(frozen=True)
class Candidates:
    """The candidates of a type: K names, and how often training documents link each, int [K]."""

    labels: tuple[str, ...]
    names: tuple[Name, ...]
    links: Ints


@dataclass(frozen=True)
class ClozeTest:
    """Cases, and candidates by type. `left_out`: reason → number of excluded mentions; `min_score`: minimum confidence
    of the linker's mentions, None if gold mentions are used."""

    source: str
    cases: tuple[Case, ...]
    candidates: dict[str, Candidates]
    left_out: dict[str, int]
    min_score: float | None = None

    @cached_property
    def entities(self) -> tuple[str, ...]:
        """The entities mentioned in the cases' windows, without duplicates."""
        return tuple(dict.fromkeys(link.entity for case in self.cases for link in case.links))

    @cached_property
    def entity_numbers(self) -> dict[str, int]:
        """Entity → its index in `entities`."""
        return {entity: number for number, entity in enumerate(self.entities)}

    def truth(self, case: Case) -> int:
        """The index of the case's true name among the candidates of its type."""
        return self.candidates[case.type].names.index(case.name)

    def scores_by_links(self) -> list[Floats]:
        """The baseline without context: the number of links of each candidate in training documents."""
        return [self.candidates[case.type].links.astype(np.float64) for case in self.cases]


@dataclass(frozen=True)
class ClozeMaker:
    """Builds a test. All random choices use the generator passed to `make`."""

    graph: Graph
    tokenizer: Tokenizer
    max_cases: int = 400
    max_candidates: int = 100
    context_tokens: int = 128
    max_name_tokens: int = 6
    min_score: float = 0.9
    """Minimum confidence of the linker's mentions. If they occur in too few documents for an interval, the more
    confident half of all mentions is used."""
    mentions: Literal["auto", "gold", "linked"] = "auto"
    """Which mentions are blanked: gold annotations ("gold"), or confident mentions of the linker ("linked"). "auto"
    uses gold mentions if they yield at least half of `max_cases`, otherwise linked ones."""

    def make(self, links: Links, rng: np.random.Generator) -> ClozeTest:
        """Draw cases from the held-out documents, then the candidates of each type that occurs.

        Raises NothingToAsk if no mention is suitable.
        """
        source, min_score, found, left_out = self._find(links.held_out)
        drawn = [found[place] for place in np.sort(rng.permutation(len(found))[: self.max_cases])]
        left_out["not drawn"] = len(found) - len(drawn)
        links_by_row = {self.graph.row(id): links.training[id] for id in links.anywhere if id in self.graph}
        tables = {
            type: self._candidates(type, [case for case in drawn if case.type == type], links_by_row, rng)
            for type in sorted({case.type for case in drawn})
        }
        cases = tuple(case for case in drawn if len(tables[case.type].names) >= FEWEST)
        left_out["no other candidate of its type"] = len(drawn) - len(cases)
        reasons = {reason: count for reason, count in left_out.items() if count}
        if not cases:
            raise NothingToAsk(_nothing(source, reasons))
        asked = {type: table for type, table in tables.items() if len(table.names) >= FEWEST}
        return ClozeTest(source, cases, asked, reasons, min_score)

    def _find(self, documents: Sequence[Document]) -> tuple[str, float | None, list[Case], Counter[str]]:
        """The source of mentions, the minimum confidence of the linker, the cases, and counts of excluded mentions."""
        if self.mentions != "linked":
            cases, left_out = self._cases(documents, None)
            if self.mentions == "gold" or 2 * len(cases) >= self.max_cases:
                return "gold", None, cases, left_out
        found = self._cases(documents, self.min_score)
        if (number := _documents(found[0])) < FEWEST_CLUSTERS:
            scores = [mention.score for document in documents for mention in document.mentions]
            lower = min(self.min_score, float(np.median(scores)) if scores else 0.0)
            surer_half = self._cases(documents, lower)
            if _documents(surer_half[0]) > number:
                return "linked", lower, *surer_half
        return "linked", self.min_score, *found

    def _cases(
        self, documents: Sequence[Document], min_score: float | None
    ) -> tuple[list[Case], Counter[str]]:
        """All suitable mentions in the order of the text: the linker's with at least `min_score`, or the gold ones
        (None)."""
        cases: list[Case] = []
        left_out: Counter[str] = Counter()
        for document in documents:
            mentions = document.gold if min_score is None else document.mentions
            if not mentions:
                continue
            window = _Windows(document, self.tokenizer, self.context_tokens - self.max_name_tokens - 2)
            for mention in sorted(mentions, key=lambda mention: mention.start):
                sure = min_score is None or mention.score >= min_score
                case = self._case(document, mention, window) if sure else "the linker's confidence is too low"
                if isinstance(case, Case):
                    cases.append(case)
                else:
                    left_out[case] += 1
        return cases, left_out

    def _case(self, document: Document, mention: Mention, windows: _Windows) -> Case | str:
        """The case that blanks a mention, or the reason why it is excluded."""
        if mention.entity not in self.graph:
            return "not in the graph"
        row = self.graph.row(mention.entity)
        types, label = self.graph.types(row), self.graph.labels[row]
        if not types:
            return "without a type"
        (name,) = self._names([row])
        if not name:
            return f"label longer than {self.max_name_tokens} tokens, or not in the vocabulary"
        cut = windows.around(mention)
        if cut is None:
            return "begins or ends inside a token"
        surface = document.text[mention.start : mention.end]
        if any(form.casefold() in part.casefold() for form in (surface, label) for part in cut.seen):
            return "name occurs elsewhere in the window"
        before, after = _sentence(document, mention)
        return Case(
            document.id,
            document.title,
            mention.start,
            mention.end,
            surface,
            before,
            after,
            types[0],
            mention.entity,
            label,
            name,
            windows.tokens[cut.begin : cut.first],
            windows.tokens[cut.stop : cut.end],
            windows.links(cut, mention.entity),
        )

    def _candidates(
        self, type: str, cases: Sequence[Case], links_by_row: dict[int, int], rng: np.random.Generator
    ) -> Candidates:
        """The names asked for in this type, and others drawn up to `max_candidates`.

        Entities that occur in the corpus are drawn before those that do not, so that a candidate cannot be ruled out
        because it is unknown.
        """
        labels = {case.name: case.label for case in cases}
        members_K = self.graph.rows_of_type(type)
        known = np.isin(members_K, np.fromiter(links_by_row, np.int64, len(links_by_row)))
        spoken_of = members_K[known].tolist()
        others = rng.permutation(members_K[~known])[: 4 * self.max_candidates].tolist()
        counts: Counter[Name] = Counter()
        for row, name in zip(spoken_of, self._names(spoken_of), strict=True):
            counts[name] += links_by_row[row]
        drawn = [*rng.permutation(spoken_of).tolist(), *others]
        for row, name in zip(drawn, self._names(drawn), strict=True):
            if name and len(labels) < self.max_candidates:
                labels.setdefault(name, self.graph.labels[row])
        names = tuple(sorted(labels))
        links_K = np.array([counts[name] for name in names], np.int64)
        return Candidates(tuple(labels[name] for name in names), names, links_K)

    def _names(self, rows: Sequence[int]) -> list[Name]:
        """Labels as tokens, tokenised as after a space; () for a label that is too long or has an unknown token."""
        if not rows:
            return []
        encoded = self.tokenizer.encode([f" {self.graph.labels[row]}" for row in rows])
        pieces = np.split(encoded.tokens, np.cumsum(encoded.lengths)[:-1])
        unknown = self.tokenizer.id(self.tokenizer.named["unk"]) if "unk" in self.tokenizer.named else None
        return [
            tuple(piece.tolist()) if len(piece) <= self.max_name_tokens and unknown not in piece else ()
            for piece in pieces
        ]


def _documents(cases: Sequence[Case]) -> int:
    """The number of documents with cases."""
    return len({case.document for case in cases})


def _nothing(source: str, left_out: Mapping[str, int]) -> str:
    """The reason why there are no cases."""
    if not left_out:
        missing = "link given with it" if source == "gold" else "mention of an entity"
        return f"the held-out text has no {missing}"
    reasons = "; ".join(f"{count:,} {reason}" for reason, count in left_out.items())
    return f"no mention in the held-out text can be asked for: {reasons}"


class _Window(NamedTuple):
    """Tokens begin..end of a document, of which first..stop are the blank; `seen`: the text on both sides of the
    blank."""

    begin: int
    first: int
    stop: int
    end: int
    seen: tuple[str, str]


class _Windows:
    """A document's tokens, from which windows around mentions are cut."""

    def __init__(self, document: Document, tokenizer: Tokenizer, room: int) -> None:
        encoded = tokenizer.encode([document.text])
        self.document, self.tokenizer = document, tokenizer
        self.text, self.room = document.text, room
        self.tokens, self.starts, self.ends = encoded.tokens, encoded.starts, encoded.ends

    def around(self, mention: Mention) -> _Window | None:
        """`room` tokens around a mention; None if its boundaries are inside a token."""
        first = int(np.searchsorted(self.ends, mention.start, side="right"))
        after = int(np.searchsorted(self.starts, mention.end, side="left"))
        if (
            first >= after
            or self.text[self.starts[first] : mention.start].strip()
            or self.ends[after - 1] > mention.end
        ):
            return None
        remaining = len(self.tokens) - after
        begin = first - min(first, self.room - min(remaining, self.room // 2))
        end = after + min(remaining, self.room - (first - begin))
        seen = (
            self.text[self.starts[begin] : mention.start],
            self.text[mention.end : self.ends[end - 1] if end > after else mention.end],
        )
        return _Window(begin, first, after, end, seen)

    def links(self, window: _Window, answer: str) -> tuple[Link, ...]:
        """The mentions that start in the window and do not overlap the blank, except mentions of `answer` under any
        name."""
        mentions, ids = self._mentions
        blanked = mentions[window.first : window.stop]
        return tuple(
            Link(place - window.begin - (window.stop - window.first if place >= window.stop else 0), id)
            for place, id in ids.items()
            if window.begin <= place < window.end and id != answer and mentions[place] not in blanked
        )

    @cached_property
    def _mentions(self) -> tuple[Ints, dict[int, str]]:
        """The mention number of each token, −1 for none; and first token → entity. Aligned as in the shards."""
        numbers: dict[str, int] = {}
        columns = tokenise([self.document], self.tokenizer, lambda id: numbers.setdefault(id, len(numbers)))
        linked = columns.entities >= 0
        starts = (columns.bounds & ENTITY) > 0
        ids = list(numbers)
        first = {place: ids[columns.entities[place]] for place in np.flatnonzero(starts & linked).tolist()}
        return np.where(linked, np.cumsum(starts), -1), first


def _sentence(document: Document, mention: Mention, most: int = 220) -> tuple[str, str]:
    """The text of the mention's sentence before and after it, for display; at most `most` characters on each side."""
    start, end = 0, len(document.text)
    for sentence in document.sentences:
        if sentence.start <= mention.start < sentence.end:
            start, end = sentence.start, max(sentence.end, mention.end)
    before, after = document.text[start : mention.start].lstrip(), document.text[mention.end : end].rstrip()
    if len(before) > most:
        before = "… " + (before[-most:].partition(" ")[2] or before[-most:])
    if len(after) > most:
        after = (after[:most].rpartition(" ")[0] or after[:most]) + " …"
    return before, after
