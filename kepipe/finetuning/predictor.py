"""Prediction on raw texts: entity linking, knowledge injection, inference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from kepipe.finetuning import fine_tuned
from kepipe.finetuning.evaluation import answers
from kepipe.finetuning.examples import Example
from kepipe.finetuning.fine_tuned import FineTunedModel, Unknown
from kepipe.finetuning.markup import ask
from kepipe.finetuning.mention_finders import Finder, finder_for
from kepipe.finetuning.records import records
from kepipe.knowledge.base import KnowledgeSettings

TOKENS = 8192
"""The size of a batch in tokens."""


@dataclass(frozen=True)
class Predictor:
    """A fine-tuned model for raw texts. `finder`: finds entity mentions; None if the model uses no knowledge.

    Entities without a vector, or without a triple in the graph, are ignored: their words are read as plain text.
    Vectors of entities that are in the graph may be composed.
    """

    fine_tuned: FineTunedModel
    finder: Finder | None = None

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        methods: Sequence[KnowledgeSettings] = (),
        graph: Path | None = None,
        vectors: Path | None = None,
        linker: Path | None = None,
        unknown: Unknown = "ignore",
        device: str = "cpu",
    ) -> Self:
        """The model of a folder. `methods`: knowledge methods that replace the folder's own of the same name, or are
        added. `graph`: another stored graph to inject from; `vectors`: other entity vectors; `linker`: another linker
        to link with.

        Without a linker, given or in the folder, entities are found by the names of the graph. A model that was
        fine-tuned without entities (`mentions: none`) looks for them only if a linker or a graph is given. `unknown`:
        whether entities without a vector are ignored or get one composed from their neighbours in the graph.
        """
        opened = fine_tuned.load(
            folder, methods=methods, graph=graph, vectors=vectors, unknown=unknown, device=device
        )
        without_entities = opened.spec.mentions == "none" and graph is None and linker is None
        if without_entities or opened.knowledge is None:
            return cls(opened)
        return cls(opened, finder_for(folder, linker, graph, opened.spec.language))

    @property
    def takes_entities(self) -> bool:
        """Whether the model was fine-tuned with entity mentions."""
        return self.fine_tuned.knowledge is not None and self.fine_tuned.spec.mentions != "none"

    def predict(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """A record for each text (see `records.records`), with the entities found in it. Where words are labelled, a
        text with markup is returned without it.

        Raises ValueError for a text without the markup that the task needs.
        """
        spec = self.fine_tuned.spec
        examples = [
            ask(spec.task, text, spec.language, f"text {place}") for place, text in enumerate(texts, 1)
        ]
        examples = self.link(examples)
        predictions = answers(
            self.fine_tuned.model,
            self.fine_tuned.collator,
            self.fine_tuned.rows(examples),
            TOKENS,
        )
        results = list(records(spec, examples, predictions))
        for text, record, example in zip(texts, results, examples, strict=True):
            if spec.row.reads == "words" and example.text != text:
                record["text"] = example.text  # without markup: what spans of the record refer to
            if self.finder is not None or example.mentions:
                record["entities"] = self._entities(example)
        return results

    def link(self, examples: Sequence[Example]) -> list[Example]:
        """The examples with mentions by the finder, unless the user marked entities in the text."""
        if self.finder is None:
            return list(examples)
        first = self.finder.find([example.text for example in examples])
        second = self.finder.find([example.second for example in examples])
        return [
            replace(example, mentions=example.mentions or seen, second_mentions=also)
            for example, seen, also in zip(examples, first, second, strict=True)
        ]

    def _entities(self, example: Example) -> list[dict[str, Any]]:
        """The mentions of a text; `known`: whether the model has a vector of the entity, or the graph has it."""
        knowledge = self.fine_tuned.knowledge
        return [
            {
                "start": mention.start,
                "end": mention.end,
                "text": example.text[mention.start : mention.end],
                "entity": mention.entity,
                "known": knowledge is not None and knowledge.knows(mention.entity),
            }
            for mention in sorted(example.mentions, key=lambda mention: mention.start)
        ]
