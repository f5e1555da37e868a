"""The linker: a text and its annotations → mentions; stored as one folder:

linker.json              weights by feature name, threshold, table of types
lexicon/ matcher/ knowledge/ casing/   columns (`.npy`, strings); nothing is pickled
dense/                   vectors of tokens, names and descriptions, if the linker has a dense view
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from kepipe.arrays import Floats, Ints
from kepipe.data.document import Mention
from kepipe.linking.candidates.fuzzy import FuzzyLookup
from kepipe.linking.candidates.gazetteer import Gazetteer
from kepipe.linking.candidates.matcher import Matcher
from kepipe.linking.candidates.matches import Matches
from kepipe.linking.candidates.near_names import add_near_names
from kepipe.linking.candidates.shortforms import add_short_forms
from kepipe.linking.decision.decide import decide
from kepipe.linking.decision.joining import join
from kepipe.linking.decision.marks import NAMES, Marks, with_articles
from kepipe.linking.decision.modifiers import include_modifiers
from kepipe.linking.decision.policy import AS_LEARNED, Policy
from kepipe.linking.decision.pronouns import Reference, resolve_pronouns
from kepipe.linking.features.affinity import Affinity
from kepipe.linking.features.dense import context_similarity
from kepipe.linking.features.describe import FEATURES, describe
from kepipe.linking.features.surroundings import GROUPS, MATCH_FEATURES
from kepipe.linking.kb.dense import DenseView
from kepipe.linking.kb.kinds import KINDS, teams
from kepipe.linking.kb.knowledge import Knowledge
from kepipe.linking.kb.links import LinkedSpan
from kepipe.linking.kb.terms import lower_case_words, term_variants
from kepipe.linking.kb.variants import variants
from kepipe.linking.ranking.ranker import Ranker
from kepipe.linking.ranking.weights import GENERAL
from kepipe.linking.text.annotations import Annotations
from kepipe.linking.text.batch import TextBatch, text_batches
from kepipe.linking.text.casing import Casing
from kepipe.linking.text.namelike import name_spans
from kg.lexicon import Lexicon
from kg.regular_files import read_json
from kg.store import Graph

FORMAT = 8
CONTEXT_WEIGHT = 2.0
"""The weight of a candidate's cosine with its mention's context, in logits, chosen over kinds of texts (`python -m
tests.benchmarks.linking_dense`). The ranker is trained, and its threshold chosen, without the dense view
(`training_example`)."""


@dataclass(frozen=True)
class Linker:
    """Finds and disambiguates mentions of a graph's entities; `dense`: vectors that give further candidates, and by
    which candidates are compared with contexts."""

    gazetteer: Gazetteer
    knowledge: Knowledge
    casing: Casing
    ranker: Ranker
    marks: Marks = NAMES
    dense: DenseView | None = None

    @classmethod
    def build(
        cls, graph: Graph, casing: Casing | None = None, min_length: int = 2, limit: int = 20
    ) -> Linker:
        """An untrained linker for all names of a graph; `min_length`, `limit` as in `Gazetteer`.

        `casing` holds the common words; None: counted on the graph's descriptions.
        """
        knowledge = Knowledge.build(graph)
        kinds = [KINDS[kind] for kind in knowledge.kinds.tolist()]
        places = {label for label, kind in zip(knowledge.labels, kinds, strict=True) if kind == "place"}
        team = teams(graph).tolist()
        names_of_terms = (*graph.labels, *graph.alias_strings) if knowledge.is_terminology else ()
        lower = lower_case_words(names_of_terms)

        def name_variants(row: int, names: Sequence[str]) -> Iterable[str]:
            yield from variants(names, kinds[row], places, team[row])
            if knowledge.is_terminology and knowledge.concepts[row]:
                yield from term_variants(names, lower)

        lexicon = Lexicon.build(graph, variants=name_variants)
        if casing is None:
            casing = Casing.count_with(graph.descriptions)
        return cls(Gazetteer(lexicon, min_length, limit), knowledge, casing, Ranker.from_weights(GENERAL))

    def link(
        self, text: str, annotation: Annotations, title: str = "", policy: Policy = AS_LEARNED
    ) -> tuple[Mention, ...]:
        """The mentions of a text in order, without overlap."""
        return next(self.link_all([(text, title, annotation)], policy))

    def link_all(
        self, texts: Iterable[tuple[str, str, Annotations]], policy: Policy = AS_LEARNED
    ) -> Iterator[tuple[Mention, ...]]:
        """The mentions of many texts, each with title ("" none) and annotations; same results as `link`, but faster."""
        ranker = self.ranker
        threshold = ranker.threshold if policy.threshold is None else policy.threshold
        marks = policy.marks_of(self.marks)
        fuzzy = None if policy.fuzzy is None else FuzzyLookup(self.gazetteer.lexicon, policy.fuzzy)
        for batch in text_batches(texts):
            spans_by_text: list[list[LinkedSpan]] = [[] for _ in batch.texts]
            for number, span in self._link_batch(batch, threshold, marks, policy.gate):
                spans_by_text[number].append(span)
            for text, annotation, spans in zip(batch.texts, batch.annotations, spans_by_text, strict=True):
                if fuzzy is not None:
                    spans += self._find_fuzzy(fuzzy, text, annotation, spans, threshold)
                if self.knowledge.is_terminology and marks.modifiers is not False:
                    spans = include_modifiers(text, sorted(spans), self.knowledge)
                if marks.joined:
                    spans = join(text, spans, self.knowledge)
                if marks.articles:
                    spans = with_articles(text, spans)
                if marks.pronouns:
                    spans += (
                        reference.pronoun for reference in self.resolve_pronouns(text, annotation, spans)
                    )
                yield tuple(
                    Mention(start, end, self.knowledge.ids[row], score)
                    for start, end, row, score in sorted(spans)
                )

    def _find_fuzzy(
        self,
        fuzzy: FuzzyLookup,
        text: str,
        annotation: Annotations,
        linked: Sequence[LinkedSpan],
        threshold: float,
    ) -> list[LinkedSpan]:
        """Links of unlinked name-like spans that are similar to a name."""
        taken = [(span.start, span.end) for span in linked]
        similar = fuzzy.find(text, name_spans(text, annotation, self.casing), taken)
        return [span for span in map(LinkedSpan._make, similar) if span.score >= threshold]

    def resolve_pronouns(
        self, text: str, annotation: Annotations, linked: Iterable[LinkedSpan]
    ) -> list[Reference]:
        """The resolved pronouns of a text, given its links in any order."""
        return resolve_pronouns(
            text, annotation, sorted(linked), self.knowledge.kinds, self.knowledge.genders
        )

    def _link_batch(
        self, batch: TextBatch, threshold: float, marks: Marks, gate: bool
    ) -> Iterator[tuple[int, LinkedSpan]]:
        """Text index and link of each mention in a batch."""
        matches = self._find(batch)
        if not len(matches):
            return
        features = describe(batch, matches, self.knowledge, self.casing, self.ranker.affinity)
        scores = self.ranker.score_parts(
            features.of_match, features.of_candidate, matches.owners, self.evidence(batch, matches)
        )
        scores[~marks.allows(batch, matches, self.knowledge)] = -1.0
        texts = batch.number(matches.starts)
        if gate:
            named = np.fromiter((annotation.names is not None for annotation in batch.annotations), bool)
            same = features.of_match[MATCH_FEATURES.index("name_same")] > 0
            scores[(named[texts] & ~same)[matches.owners]] = -1.0
        starts, ends = matches.starts - batch.begins[texts], matches.ends - batch.begins[texts]
        for match, row, score in decide(matches, scores, threshold):
            yield int(texts[match]), LinkedSpan(int(starts[match]), int(ends[match]), row, score)

    def find(self, text: str, annotation: Annotations) -> Matches:
        """All matches of a text with their candidates."""
        return self._find(TextBatch((text,), ("",), (annotation,)))

    def _find(self, batch: TextBatch) -> Matches:
        matches = self.gazetteer.find_all(batch.texts)
        if self.dense is not None:
            matches = add_near_names(batch, matches, self.knowledge, self.dense)
        return add_short_forms(batch, matches, self.knowledge)

    def evidence(self, batch: TextBatch, matches: Matches) -> Floats | None:
        """What the dense view adds to the logit of each candidate [P]; None without one."""
        if self.dense is None:
            return None
        return CONTEXT_WEIGHT * context_similarity(batch, matches, self.dense)

    def featurize(self, text: str, annotation: Annotations, title: str = "") -> tuple[Matches, Floats, Ints]:
        """The matches of a text, the features of their candidates [P, F], and the NER group of each candidate [P]."""
        return self.featurize_all(TextBatch((text,), (title,), (annotation,)))

    def featurize_all(self, batch: TextBatch) -> tuple[Matches, Floats, Ints]:
        """The same of a batch of texts, with batch offsets."""
        matches = self._find(batch)
        if not len(matches):
            return matches, np.zeros((0, len(FEATURES))), np.zeros(0, np.int64)
        features = describe(batch, matches, self.knowledge, self.casing, self.ranker.affinity)
        return matches, features.table(matches.owners), features.groups

    def save(self, folder: Path) -> None:
        """Write the linker into `folder`, which is created."""
        self.gazetteer.lexicon.save(folder / "lexicon")
        self.gazetteer.matcher.save(folder / "matcher")
        self.knowledge.save(folder / "knowledge")
        self.casing.save(folder / "casing")
        settings = self.settings()
        if self.dense is not None:
            self.dense.save(folder / "dense")
        (folder / "linker.json").write_text(json.dumps(settings, indent=1), encoding="utf-8")

    def settings(self) -> dict[str, Any]:
        """The content of `linker.json`, with the ranker's weights: plain data."""
        ranker = self.ranker
        settings: dict[str, Any] = {
            "format": FORMAT,
            "min_length": self.gazetteer.min_length,
            "limit": self.gazetteer.limit,
            "trained": ranker.trained,
            "threshold": ranker.threshold,
            "marks": self.marks.to_json(),
            "bias": ranker.bias,
            "weights": dict(zip(FEATURES, ranker.weights.tolist(), strict=True)),
            "affinity": dict(zip(GROUPS, ranker.affinity.table.tolist(), strict=True)),
        }
        if self.dense is not None:
            settings["dense"] = True
        return settings

    @classmethod
    def open(cls, folder: Path) -> Linker:
        """The linker that `save` wrote. Raises ValueError if `folder` holds none."""
        file = folder / "linker.json"
        try:
            settings = read_json(file)
        except FileNotFoundError:
            raise ValueError(f"{folder}: not a linker (linker.json is missing)") from None
        if (
            not isinstance(settings, dict)
            or settings.get("format") != FORMAT
            or {*settings.get("weights", ())} != {*FEATURES}
        ):
            raise ValueError(f"{file}: written by another version of kepipe; build the linker again")
        try:
            ranker = Ranker(
                np.asarray([settings["weights"][name] for name in FEATURES]),
                settings["bias"],
                settings["threshold"],
                Affinity(np.asarray([settings["affinity"][group] for group in GROUPS])),
                settings["trained"],
            )
            marks = Marks(**settings["marks"])
            bounds = settings["min_length"], settings["limit"]
        except (KeyError, TypeError) as error:
            raise ValueError(f"{file}: damaged: no usable {error}; build the linker again") from None
        lexicon, matcher = Lexicon.open(folder / "lexicon"), Matcher.open(folder / "matcher")
        gazetteer = Gazetteer(lexicon, *bounds, matcher)
        knowledge, casing = Knowledge.open(folder / "knowledge"), Casing.open(folder / "casing")
        dense = DenseView.open(folder / "dense") if settings.get("dense") else None
        return cls(gazetteer, knowledge, casing, ranker, marks, dense)

    @cached_property
    def degrees(self) -> Ints:
        """The number of neighbours of each entity: [E]."""
        return np.diff(self.knowledge.neighbours.indptr)

    def row(self, id: str) -> int:
        """The row of an entity. Raises KeyError."""
        return self._rows[id]

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {id: row for row, id in enumerate(self.knowledge.ids)}

    def with_ranker(self, ranker: Ranker, marks: Marks | None = None) -> Linker:
        """The same linker with another ranker, and with other marks unless None."""
        return replace(self, ranker=ranker, marks=self.marks if marks is None else marks)
