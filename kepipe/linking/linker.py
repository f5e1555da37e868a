"""The linker: a text and its reading → mentions, with everything it needs in one folder.

linker.json              weights by feature name, threshold, table of types
lexicon/ matcher/ knowledge/ casing/   columns (`.npy`, strings); nothing is pickled
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from kepipe.arrays import Floats, Ints
from kepipe.data.document import Mention
from kepipe.linking.casing import Casing
from kepipe.linking.decide import decide
from kepipe.linking.features import FEATURES, Affinity, describe
from kepipe.linking.fuzzy import NearNames, name_spans
from kepipe.linking.gazetteer import Gazetteer, Matches
from kepipe.linking.gold import Link
from kepipe.linking.join import join, split
from kepipe.linking.kinds import KINDS, teams
from kepipe.linking.knowledge import Knowledge
from kepipe.linking.learn import Lesson
from kepipe.linking.matcher import Matcher
from kepipe.linking.page import Page, pages
from kepipe.linking.policy import AS_LEARNED, Policy
from kepipe.linking.pronouns import Found, Reference, refer
from kepipe.linking.ranker import Ranker
from kepipe.linking.reading import Reading
from kepipe.linking.shortforms import add_short_forms
from kepipe.linking.surroundings import GROUPS, MATCH_FEATURES
from kepipe.linking.variants import variants
from kepipe.linking.weights import GENERAL
from kg.lexicon import Lexicon
from kg.store import Graph

FORMAT = 7


@dataclass(frozen=True)
class Linker:
    """Finds and disambiguates mentions of a graph's entities."""

    gazetteer: Gazetteer
    knowledge: Knowledge
    casing: Casing
    ranker: Ranker

    @classmethod
    def build(
        cls, graph: Graph, casing: Casing | None = None, min_length: int = 2, limit: int = 20
    ) -> Linker:
        """An untrained linker over all names of a graph; `min_length`, `limit` as in `Gazetteer`.

        `casing` tells which words are common, and is counted on the graph's descriptions where it is not given.
        """
        knowledge = Knowledge.build(graph)
        kinds = [KINDS[kind] for kind in knowledge.kinds.tolist()]
        places = {label for label, kind in zip(knowledge.labels, kinds, strict=True) if kind == "place"}
        team = teams(graph).tolist()
        lexicon = Lexicon.build(
            graph, variants=lambda row, names: variants(names, kinds[row], places, team[row])
        )
        if casing is None:
            casing = Casing.count_with(graph.descriptions)
        return cls(Gazetteer(lexicon, min_length, limit), knowledge, casing, Ranker.of(GENERAL))

    def link(
        self, text: str, reading: Reading, title: str = "", policy: Policy = AS_LEARNED
    ) -> tuple[Mention, ...]:
        """The mentions of a text in order, without overlap."""
        return next(self.link_all([(text, title, reading)], policy))

    def link_all(
        self, texts: Iterable[tuple[str, str, Reading]], policy: Policy = AS_LEARNED
    ) -> Iterator[tuple[Mention, ...]]:
        """The mentions of each of many texts, given with title ("" none) and reading: as one by one, only faster."""
        ranker = self.ranker
        threshold = ranker.threshold if policy.threshold is None else policy.threshold
        pronouns = ranker.pronouns if policy.pronouns is None else policy.pronouns
        joined = ranker.join if policy.join is None else policy.join
        near = None if policy.fuzzy is None else NearNames(self.gazetteer.lexicon, policy.fuzzy)
        for page in pages(texts):
            found: list[list[Found]] = [[] for _ in page.texts]
            for number, mention in self._link_page(page, threshold, policy.gate):
                found[number].append(mention)
            for text, reading, mentions in zip(page.texts, page.readings, found, strict=True):
                if near is not None:
                    mentions += self._find_near(near, text, reading, mentions, threshold)
                if joined:
                    mentions = join(text, mentions, self.knowledge)
                if pronouns:
                    mentions += (reference.found for reference in self.refer(text, reading, mentions))
                yield tuple(
                    Mention(start, end, self.knowledge.ids[row], score)
                    for start, end, row, score in sorted(mentions)
                )

    def _find_near(
        self, near: NearNames, text: str, reading: Reading, linked: Sequence[Found], threshold: float
    ) -> list[Found]:
        """What is written almost like a name and not linked."""
        taken = [(mention.start, mention.end) for mention in linked]
        found = near.find(text, name_spans(text, reading, self.casing), taken)
        return [each for each in map(Found._make, found) if each.score >= threshold]

    def refer(self, text: str, reading: Reading, linked: Iterable[Found]) -> list[Reference]:
        """The pronouns of a text whose names are `linked`, in any order."""
        return refer(text, reading, sorted(linked), self.knowledge.kinds, self.knowledge.genders)

    def _link_page(self, page: Page, threshold: float, gate: bool) -> Iterator[tuple[int, Found]]:
        """The number of the text, and the mention in it."""
        matches = self._find(page)
        if not len(matches):
            return
        described = describe(page, matches, self.knowledge, self.casing, self.ranker.affinity)
        scores = self.ranker.score_parts(described.of_match, described.of_candidate, matches.owners)
        texts = page.number(matches.starts)
        if gate:
            named = np.fromiter((reading.names is not None for reading in page.readings), bool)
            same = described.of_match[MATCH_FEATURES.index("name_same")] > 0
            scores[(named[texts] & ~same)[matches.owners]] = -1.0
        starts, ends = matches.starts - page.begins[texts], matches.ends - page.begins[texts]
        for match, row, score in decide(matches, scores, threshold):
            yield int(texts[match]), Found(int(starts[match]), int(ends[match]), row, score)

    def find(self, text: str, reading: Reading) -> Matches:
        """All candidates of a text."""
        return self._find(Page((text,), ("",), (reading,)))

    def _find(self, page: Page) -> Matches:
        return add_short_forms(page, self.gazetteer.find_all(page.texts))

    def examine(self, text: str, reading: Reading, title: str = "") -> tuple[Matches, Floats, Ints]:
        """All candidates of a text, their features [P, F], and the NER group of each [P]."""
        page = Page((text,), (title,), (reading,))
        matches = self._find(page)
        if not len(matches):
            return matches, np.zeros((0, len(FEATURES))), np.zeros(0, np.int64)
        described = describe(page, matches, self.knowledge, self.casing, self.ranker.affinity)
        return matches, described.table(matches.owners), described.groups

    def lesson(
        self,
        text: str,
        reading: Reading,
        given: Sequence[Link],
        title: str = "",
        span: tuple[int, int] | None = None,
    ) -> Lesson:
        """A text with given links, to learn from; `span`: only what lies in these characters counts."""
        matches, features, groups = self.examine(text, reading, title)
        return Lesson(
            matches, features, groups, self.knowledge.types[matches.rows], given, span or (0, len(text))
        )

    def take_apart(self, text: str, given: Iterable[Link]) -> list[Link]:
        """Given links, those of a place and what it lies in as two: what they are to be learned as."""
        return [
            part
            for link in given
            for part in split(text, link, self.knowledge, self.gazetteer.lexicon) or (link,)
        ]

    def save(self, folder: Path) -> None:
        """Write everything into `folder`, which is made."""
        self.gazetteer.lexicon.save(folder / "lexicon")
        self.gazetteer.matcher.save(folder / "matcher")
        self.knowledge.save(folder / "knowledge")
        self.casing.save(folder / "casing")
        ranker = self.ranker
        about = {
            "format": FORMAT,
            "min_length": self.gazetteer.min_length,
            "limit": self.gazetteer.limit,
            "trained": ranker.trained,
            "threshold": ranker.threshold,
            "pronouns": ranker.pronouns,
            "join": ranker.join,
            "bias": ranker.bias,
            "weights": dict(zip(FEATURES, ranker.weights.tolist(), strict=True)),
            "affinity": dict(zip(GROUPS, ranker.affinity.table.tolist(), strict=True)),
        }
        (folder / "linker.json").write_text(json.dumps(about, indent=1), encoding="utf-8")

    @classmethod
    def open(cls, folder: Path) -> Linker:
        """The linker that `save` wrote. Raises ValueError where `folder` holds none."""
        file = folder / "linker.json"
        try:
            about = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise ValueError(f"{folder}: holds no linker (linker.json is missing)") from None
        if about.get("format") != FORMAT or set(about["weights"]) != set(FEATURES):
            raise ValueError(f"{file}: made by another version of kepipe; link again to make it anew")
        ranker = Ranker(
            np.asarray([about["weights"][name] for name in FEATURES]),
            about["bias"],
            about["threshold"],
            Affinity(np.asarray([about["affinity"][group] for group in GROUPS])),
            about["trained"],
            about["pronouns"],
            about["join"],
        )
        lexicon, matcher = Lexicon.open(folder / "lexicon"), Matcher.open(folder / "matcher")
        gazetteer = Gazetteer(lexicon, about["min_length"], about["limit"], matcher)
        return cls(gazetteer, Knowledge.open(folder / "knowledge"), Casing.open(folder / "casing"), ranker)

    @cached_property
    def degrees(self) -> Ints:
        """With how many others each entity stands in a triple: [E]."""
        return np.diff(self.knowledge.neighbours.indptr)

    def row(self, id: str) -> int:
        """The row of an entity. Raises KeyError."""
        return self._rows[id]

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {id: row for row, id in enumerate(self.knowledge.ids)}

    def with_ranker(self, ranker: Ranker) -> Linker:
        """The same linker with another ranker."""
        return replace(self, ranker=ranker)
