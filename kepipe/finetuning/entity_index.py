"""The index of a graph's entities in the folder of a model that links: the names of the graph with the features of
their candidates, by a linker without NER, and a vector of each entity's description."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from kepipe.arrays import Ints
from kepipe.finetuning.examples import Example
from kepipe.finetuning.mention_finders import Language
from kepipe.finetuning.resources import Folders, ResourceKind
from kepipe.finetuning.rows import LEFT_OUT, NIL, Candidates, Row
from kepipe.linking.kb.dense import Halves
from kepipe.linking.linker import Linker
from kepipe.linking.text.annotators import make_annotator
from kepipe.linking.text.batch import TextBatch, text_batches
from kg.columns import load, save

if TYPE_CHECKING:
    from kepipe.models.protocols import TrainableEncoder
    from kepipe.tokenization.tokenizer import Tokenizer

FOLDER, VECTORS = "entities", "vectors"
"""The folder of the index within that of the model: a linker, and the vectors of the entities."""


@dataclass(frozen=True)
class EntityIndex:
    """A `Resource`. `linker`: finds names and describes their candidates; its ranker is where the learned weights of
    the features start. `vectors`: float16 [E, D]."""

    linker: Linker
    vectors: Halves
    language: Language

    @classmethod
    def make(
        cls, folders: Folders, tokenizer: Tokenizer, encoder: TrainableEncoder, language: Language
    ) -> Self:
        """The index of a graph. Without a `linker`, one with general weights is built. The vector of an
        entity is that of the linker's dense view, or the weighted sum of the embeddings of its description's tokens.

        Raises ValueError without a graph, for a linker of another graph, and for an encoder without token embeddings.
        """
        from kepipe.inference.dense_view import align_tokens
        from kepipe.models.protocols import ExtensibleVocabulary
        from kg.store import open_graph

        place, own = folders.get("graph"), folders.get("linker")
        if place is None:
            raise ValueError("entity-linking needs the graph: set `inputs: {graph: graph}` in the stage")
        graph = open_graph(place)
        linker = Linker.build(graph) if own is None else Linker.open(own)
        if list(linker.knowledge.ids) != list(graph.ids):
            raise ValueError("entity-linking: the text was linked to another graph than that of the stage")
        if linker.dense is not None:
            return cls(replace(linker, dense=None), linker.dense.descriptions, language)
        if not isinstance(encoder, ExtensibleVocabulary):
            raise ValueError(
                "entity-linking: this model has no token embeddings, of which the vectors of entities are made: link "
                "the text with `dense: {}`"
            )
        return cls(linker, align_tokens(encoder, tokenizer, linker, graph, 0).descriptions, language)

    @classmethod
    def open(cls, folder: Path, language: Language) -> Self:
        """The index in a model folder. Raises ValueError if it is missing or damaged."""
        place = folder / FOLDER
        linker, vectors = Linker.open(place), load(place, VECTORS)
        if vectors.ndim != 2 or len(vectors) != len(linker.knowledge.ids) or vectors.dtype != np.float16:
            raise ValueError(
                f"{place / VECTORS}.npy: expected float16 [{len(linker.knowledge.ids)}, width], found {vectors.dtype} "
                f"{[*vectors.shape]}; fine-tune again"
            )
        return cls(linker, vectors, language)

    def save(self, folder: Path) -> None:
        """Write the index into a model folder."""
        self.linker.save(folder / FOLDER)
        save(folder / FOLDER, VECTORS, self.vectors)

    def id(self, row: int) -> str:
        """The id of an entity."""
        return self.linker.knowledge.ids[row]

    def knows(self, id: str) -> bool:
        """Whether the graph has an entity."""
        return id in self._rows

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {id: row for row, id in enumerate(self.linker.knowledge.ids)}

    def annotate(self, rows: Sequence[Row], examples: Sequence[Example]) -> list[Row]:
        """The rows with the candidates of the names in their words; right ones are known if the labels are."""
        texts = self._candidates(examples)
        annotated = []
        for _, windows in groupby(rows, lambda row: row.example):
            of_text = next(texts)
            annotated += [replace(row, candidates=_within(of_text, row)) for row in windows]
        return annotated

    def _candidates(self, examples: Sequence[Example]) -> Iterator[Candidates]:
        """The candidates of each text."""
        annotations = make_annotator(self.language, None).annotate(example.text for example in examples)
        texts = ((e.text, "", annotation) for e, annotation in zip(examples, annotations, strict=True))
        place = 0
        for batch in text_batches(texts):
            yield from self._of_batch(batch, examples[place : place + len(batch.texts)])
            place += len(batch.texts)

    def _of_batch(self, batch: TextBatch, examples: Sequence[Example]) -> list[Candidates]:
        """The candidates of each text of a batch, in the words of its example."""
        matches, features, _ = self.linker.featurize_all(batch)
        spans = np.stack([matches.starts, matches.ends], axis=1)
        all_ = Candidates(spans, matches.owners, matches.rows, features, None)
        first = np.searchsorted(matches.starts, batch.begins)
        found = []
        for number, example in enumerate(examples):
            own = all_.take(np.arange(first[number], first[number + 1]))
            found.append(self._in_words(example, own, own.spans - batch.begins[number]))
        return found

    def _in_words(self, example: Example, candidates: Candidates, places: Ints) -> Candidates:
        """The candidates of spans that begin and end with a word. `places`: their characters."""
        words = np.array(example.spans, np.int64).reshape(-1, 2)
        first = np.searchsorted(words[:, 0], places[:, 0])
        last = np.searchsorted(words[:, 1], places[:, 1])
        whole = np.isin(places[:, 0], words[:, 0]) & np.isin(places[:, 1], words[:, 1])
        if example.labels is not None:
            candidates = replace(candidates, gold=self._gold(example, candidates, places))
        kept = candidates.take(np.flatnonzero(whole))
        return replace(kept, spans=np.stack([first, last], axis=1)[whole])

    def _gold(self, example: Example, candidates: Candidates, places: Ints) -> Ints:
        """See `Candidates.gold`."""
        meant = {(link.start, link.end): self._rows.get(link.entity, NIL) for link in example.links}
        rows = np.array([meant.get((start, end), NIL) for start, end in places.tolist()], np.int64)
        gold = np.where(rows == NIL, NIL, LEFT_OUT)
        right = np.flatnonzero(candidates.entities == rows[candidates.owners])
        gold[candidates.owners[right]] = right
        return gold


def _within(candidates: Candidates, row: Row) -> Candidates:
    """The candidates of spans whose words are all in the row."""
    there = np.isin(candidates.spans, np.asarray(row.read_words, np.int64)).all(axis=1)
    return candidates.take(np.flatnonzero(there))


ENTITY_INDEX = ResourceKind(EntityIndex.make, EntityIndex.open, ("graph",))
