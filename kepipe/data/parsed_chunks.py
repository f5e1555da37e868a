"""The documents of a file in chunks, each parsed once and cached."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kepipe.data.document import Document
from kepipe.data.document_columns import DocumentColumns, open_arrays, save_arrays
from kepipe.data.document_files import held_out
from kepipe.data.document_stream import Chunk, DocumentStream

CHUNK = 1_000_000
"""A chunk ends after the document that brings it to this many characters."""
SPLITS = ("train", "held_out")


@dataclass(frozen=True)
class ParsedChunk:
    """Consecutive documents of a file, by split, and the position after them: byte `offset` and number of lines."""

    splits: Mapping[str, DocumentColumns]
    offset: int
    line: int


@dataclass(frozen=True)
class ParsedChunks:
    """The documents of a `documents.jsonl`. `kept`: a folder that caches parsed chunks, also for a later attempt; None:
    chunks are not cached. `held_out_share`: the share of documents that are held out.
    """

    file: Path
    held_out_share: float
    kept: Path | None = None

    def read(self, offset: int = 0, line: int = 0) -> Iterator[ParsedChunk]:
        """The chunks from a position at which one begins. Raises ValueError for an invalid line (`DocumentStream`)."""
        size = self.file.stat().st_size
        while offset < size:
            chunk = self._chunk(offset, line)
            yield chunk
            offset, line = chunk.offset, chunk.line

    def places(self, offset: int = 0, line: int = 0) -> Iterator[Chunk]:
        """Where the chunks lie, from a position at which one begins. With `kept`, each is in the cache when it is
        yielded. Raises as `read`."""
        size, number = self.file.stat().st_size, 0
        while offset < size:
            end, line_after = self._end(offset, line)
            yield Chunk(number, offset, end, line)
            offset, line, number = end, line_after, number + 1

    def open(self, chunk: Chunk) -> ParsedChunk:
        """A chunk of `places`, parsed again if it is missing in the cache or damaged. Raises as `read`."""
        return self._chunk(chunk.begin, chunk.line)

    def _end(self, offset: int, line: int) -> tuple[int, int]:
        """The position after a chunk. Of one in the cache, nothing else is read."""
        if self.kept is not None and (known := open_arrays(_file(self.kept, offset), ["end"])) is not None:
            end, line_after = known["end"].tolist()
            return end, line_after
        chunk = self._chunk(offset, line)
        return chunk.offset, chunk.line

    def _chunk(self, offset: int, line: int) -> ParsedChunk:
        if self.kept is None:
            return self._parse(offset, line)
        file = _file(self.kept, offset)
        if (known := _open(file)) is not None:
            return known
        chunk = self._parse(offset, line)
        self.kept.mkdir(parents=True, exist_ok=True)
        columns = {
            name: array for split in SPLITS for name, array in chunk.splits[split].arrays(f"{split}.").items()
        }
        save_arrays(file, {"end": np.array([chunk.offset, chunk.line]), **columns})
        return chunk

    def _parse(self, offset: int, line: int) -> ParsedChunk:
        documents: dict[str, list[Document]] = {split: [] for split in SPLITS}
        stream, size = DocumentStream(self.file, offset, line), 0
        for document in stream:
            documents["held_out" if held_out(document.id, self.held_out_share) else "train"].append(document)
            size += len(document.text)
            if size >= CHUNK:
                break
        splits = {split: DocumentColumns.of(part) for split, part in documents.items()}
        return ParsedChunk(splits, stream.offset, stream.line)


def _file(kept: Path, offset: int) -> Path:
    return kept / f"documents-{offset:015}.npz"


def _open(file: Path) -> ParsedChunk | None:
    """The chunk that a file of the cache holds; None if it is missing or damaged."""
    if (arrays := open_arrays(file)) is None:
        return None
    splits = {split: DocumentColumns.open(arrays, f"{split}.") for split in SPLITS}
    return ParsedChunk(splits, *arrays["end"].tolist())


@dataclass(frozen=True)
class TrainingTexts:
    """The texts of the training documents, read again at each iteration; `tick` is called for each."""

    chunks: ParsedChunks
    tick: Callable[[int], None]

    def __iter__(self) -> Iterator[str]:
        for chunk in self.chunks.read():
            for text in chunk.splits["train"].texts:
                self.tick(1)
                yield text
