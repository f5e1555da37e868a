"""The documents of a file in chunks that do not depend on the documents before them, parsed once and cached."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

import numpy as np

from kepipe.data.document import Document
from kepipe.data.document_columns import DocumentColumns, open_arrays, save_arrays
from kepipe.data.document_files import held_out
from kepipe.data.document_stream import Chunk, DocumentStream

CHUNK = 1_000_000
"""The size of a chunk in bytes, about."""
SPLITS = ("train", "held_out")


@dataclass(frozen=True)
class ParsedChunk:
    """Consecutive documents of a file, by split, and the position after them: byte `offset` and number of lines."""

    splits: Mapping[str, DocumentColumns]
    offset: int
    line: int


@dataclass(frozen=True)
class ParsedChunks:
    """The documents of a `documents.jsonl`. `folder`: one that caches parsed chunks, also for a later attempt; None:
    chunks are not cached. `held_out_share`: the share of documents that are held out.
    """

    file: Path
    held_out_share: float
    folder: Path | None = None

    def read(self, offset: int = 0, line: int = 0) -> Iterator[ParsedChunk]:
        """The chunks from a position at which one begins. Raises ValueError for an invalid line (`DocumentStream`)."""
        return map(self.open, self.places(offset, line))

    def places(self, offset: int = 0, line: int = 0) -> Iterator[Chunk]:
        """Where the chunks lie, from a position at which one begins; no line is parsed.

        Where a chunk ends depends on its lines alone (Muthitacharoen, Chen and Mazières 2001, A Low-bandwidth Network
        File System, §3.1): where documents were added, changed or removed, the chunks around them change, and the
        others stay as they were.
        """
        number, begin, end, after = 0, offset, offset, line
        with self.file.open("rb") as stream:
            stream.seek(offset)
            for text in stream:
                end, after = end + len(text), after + 1
                if _is_last(text, end - begin):
                    yield Chunk(number, begin, end, line)
                    number, begin, line = number + 1, end, after
        if end > begin:
            yield Chunk(number, begin, end, line)

    def lines(self, chunk: Chunk) -> bytes:
        """The lines of a chunk."""
        with self.file.open("rb") as stream:
            stream.seek(chunk.begin)
            return stream.read(chunk.end - chunk.begin)

    def open(self, chunk: Chunk) -> ParsedChunk:
        """A chunk of `places`, parsed unless it is in the cache and intact. Raises as `read`."""
        if self.folder is None:
            return self._parse(chunk)
        file = self.folder / f"documents-{chunk.begin:015}.npz"
        if (known := _open(file)) is not None and known.offset == chunk.end:
            return known
        parsed = self._parse(chunk)
        self.folder.mkdir(parents=True, exist_ok=True)
        columns = {
            name: array
            for split in SPLITS
            for name, array in parsed.splits[split].arrays(f"{split}.").items()
        }
        save_arrays(file, {"end": np.array([parsed.offset, parsed.line]), **columns})
        return parsed

    def _parse(self, chunk: Chunk) -> ParsedChunk:
        documents: dict[str, list[Document]] = {split: [] for split in SPLITS}
        stream = DocumentStream(self.file, chunk.begin, chunk.line, chunk.end)
        for document in stream:
            documents["held_out" if held_out(document.id, self.held_out_share) else "train"].append(document)
        splits = {split: DocumentColumns.of(part) for split, part in documents.items()}
        return ParsedChunk(splits, stream.offset, stream.line)


def _is_last(line: bytes, size: int) -> bool:
    """Whether a line ends its chunk, which has `size` bytes with it: CHUNK/2 to 2·CHUNK, and in between by a checksum
    of the line, on average after CHUNK more bytes."""
    if size < CHUNK // 2:
        return False
    return size >= 2 * CHUNK or crc32(line) * CHUNK < len(line) << 32


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
