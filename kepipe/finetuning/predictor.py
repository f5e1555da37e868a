"""From raw texts to predictions: link, look up, fuse or inject, answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from kepipe.finetuning import fine_tuned
from kepipe.finetuning.encoding import encode_rows
from kepipe.finetuning.evaluation import answers
from kepipe.finetuning.examples import Example
from kepipe.finetuning.fine_tuned import FineTunedModel, Unknown
from kepipe.finetuning.markup import ask
from kepipe.finetuning.mention_finders import Finder, finder_for
from kepipe.finetuning.records import records
from kepipe.knowledge.base import KnowledgeSettings

TOKENS = 8192
"""Tokens of a batch."""


@dataclass(frozen=True)
class Predictor:
    """A fine-tuned model that takes texts. `finder`: names entities; None where the model uses no knowledge.

    Entities that the model has no vector of, or the graph no triple, are ignored: their words are plain words. Vectors
    may be composed for those that the graph knows.
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
        """The model of a folder. `methods`: knowledge in place of the folder's own of their names, or besides it.
        `graph`: another stored graph to inject from; `vectors`: other entity vectors; `linker`: another linker to link
        with.

        Without a linker, of its own or given, entities are found by the names of the graph; a model that was tuned
        without entities (`mentions: none`) looks for them only where a linker or a graph is given. `unknown`: whether
        entities that came into the graph after the vectors were made are ignored or get a vector composed from their
        neighbours.
        """
        opened = fine_tuned.load(
            folder, methods=methods, graph=graph, vectors=vectors, unknown=unknown, device=device
        )
        untaught = opened.spec.mentions == "none" and graph is None and linker is None
        if untaught or opened.knowledge is None:
            return cls(opened)
        return cls(opened, finder_for(folder, linker, graph, opened.spec.language))

    @property
    def takes_entities(self) -> bool:
        """Whether the model was taught with entities in its texts."""
        return self.fine_tuned.knowledge is not None and self.fine_tuned.spec.mentions != "none"

    def predict(self, texts: Sequence[str]) -> list[dict[str, Any]]:
        """A record of each text (see `predictions.records`), with the entities that were found in it.

        Raises ValueError for a text that does not mark what the task asks about.
        """
        spec = self.fine_tuned.spec
        examples = [
            ask(spec.task, text, spec.language, f"text {place}") for place, text in enumerate(texts, 1)
        ]
        examples = self._link(examples)
        found = answers(
            self.fine_tuned.model,
            self.fine_tuned.collator,
            encode_rows(examples, self.fine_tuned.row_format),
            TOKENS,
        )
        told = list(records(spec, examples, found))
        for record, example in zip(told, examples, strict=True):
            if self.finder is not None or example.mentions:
                record["entities"] = self._entities(example)
        return told

    def _link(self, examples: Sequence[Example]) -> list[Example]:
        """The examples with the entities that the finder sees, beside those that the user named."""
        if self.finder is None:
            return list(examples)
        first = self.finder.find([example.text for example in examples])
        second = self.finder.find([example.second for example in examples])
        return [
            replace(example, mentions=example.mentions or seen, second_mentions=also)
            for example, seen, also in zip(examples, first, second, strict=True)
        ]

    def _entities(self, example: Example) -> list[dict[str, Any]]:
        """What the text names, and whether the model knows it: has a vector of it, or the graph has it."""
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
