"""What is to be linked, and where what is done with it lies."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

from kepipe.linking.text.annotations import Annotator
from kepipe.linking.text.annotators import make_annotator
from kg.regular_files import read_json

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
    """Bytes `begin`..`end` of the documents, whole lines; `size` documents."""

    number: int
    begin: int
    end: int
    size: int


@dataclass(frozen=True)
class Job:
    """Where things are and what is asked of each chunk.

    `held_out_share`, of the documents; `complete_gold`: given links mark everything that could be linked; `fuzzy` as in
    `Policy`.
    """

    documents: Path
    scratch: Path
    graph: Path
    annotator: AnnotatorChoice
    held_out_share: float
    complete_gold: bool
    fuzzy: float | None

    @property
    def linker(self) -> Path:
        """The folder of the untrained linker."""
        return self.scratch / "linker"

    @property
    def chunks(self) -> Path:
        """The file of the chunks."""
        return self.scratch / "chunks.json"

    def annotated(self, chunk: Chunk) -> Path:
        """The file of a chunk's annotations."""
        return self.scratch / f"annotated-{chunk.number:05}.jsonl"

    def linked(self, chunk: Chunk) -> Path:
        """The file of a chunk's linked documents."""
        return self.scratch / f"linked-{chunk.number:05}.jsonl"

    def counts(self, chunk: Chunk) -> Path:
        """The file of what was counted in a chunk's linked documents."""
        return self.scratch / f"counts-{chunk.number:05}.json"


def cut(documents: Path, chunks: list[Chunk], size: int = CHUNK) -> Iterator[bytes]:
    """The lines of a `documents.jsonl`; once all are read, `chunks` holds the chunks that they make."""
    begin = end = lines = 0
    with documents.open("rb") as stream:
        for line in stream:
            yield line
            end += len(line)
            lines += 1
            if end - begin >= size:
                chunks.append(Chunk(len(chunks), begin, end, lines))
                begin, lines = end, 0
    if lines:
        chunks.append(Chunk(len(chunks), begin, end, lines))


def save_chunks(file: Path, chunks: list[Chunk]) -> None:
    """Write the chunks, for a later attempt."""
    write_atomically(file, json.dumps([asdict(chunk) for chunk in chunks]))


def open_chunks(file: Path) -> list[Chunk]:
    """The chunks that `save_chunks` wrote."""
    return [Chunk(**fields) for fields in read_json(file)]


def write_atomically(file: Path, text: str) -> None:
    """Write a file that is either whole or not there."""
    partial = file.with_name(file.name + ".partial")
    with partial.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(file)
