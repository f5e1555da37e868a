"""What is to be linked, and where what is done with it lies."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kepipe.linking.decision.marks import NAMES, Marks
from kepipe.linking.text.annotations import Annotator
from kepipe.linking.text.annotators import make_annotator

CHUNK = 200_000
"""A chunk ends after the document that brings it to this many bytes."""


class AnnotatorChoice(NamedTuple):
    """Which annotator: the arguments of `make_annotator`."""

    language: str
    spacy_model: str | None
    ner: bool

    def make(self) -> Annotator:
        """The annotator."""
        return make_annotator(self.language, self.spacy_model, self.ner)


@dataclass(frozen=True)
class Chunk:
    """Bytes `begin`..`end` of the documents, whole lines; `line`: lines before."""

    number: int
    begin: int
    end: int
    line: int


@dataclass(frozen=True)
class Job:
    """Where things are and what is asked of each chunk.

    `held_out_share`, of the documents; `complete_gold`: given links mark everything that could be linked; `fuzzy` as in
    `Policy`; `marks`: what counts as a mention.
    """

    documents: Path
    scratch: Path
    graph: Path
    annotator: AnnotatorChoice
    held_out_share: float
    complete_gold: bool
    fuzzy: float | None
    marks: Marks = NAMES

    @property
    def linker(self) -> Path:
        """The folder of the untrained linker."""
        return self.scratch / "linker"

    def annotated(self, chunk: Chunk) -> Path:
        """The file of a chunk's documents and annotations (`AnnotatedChunk`)."""
        return self.scratch / f"annotated-{chunk.number:05}.npz"

    def linked(self, chunk: Chunk) -> Path:
        """The file of a chunk's linked documents."""
        return self.scratch / f"linked-{chunk.number:05}.jsonl"

    def counts(self, chunk: Chunk) -> Path:
        """The file of what was counted in a chunk's linked documents."""
        return self.scratch / f"counts-{chunk.number:05}.json"


def cut(documents: Path, size: int = CHUNK) -> Iterator[Chunk]:
    """The chunks of a `documents.jsonl`, each as soon as its end is found; no line is parsed."""
    number = begin = end = line = lines = 0
    with documents.open("rb") as stream:
        for text in stream:
            end += len(text)
            lines += 1
            if end - begin >= size:
                yield Chunk(number, begin, end, line)
                number, begin, line = number + 1, end, lines
    if end > begin:
        yield Chunk(number, begin, end, line)
