"""A resumable stream of the documents of a file, starting at a byte offset."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kepipe.data.document import Document
from kepipe.data.document_files import from_record


@dataclass(frozen=True)
class Chunk:
    """Bytes `begin`..`end` of a documents file, whole lines; `line`: the number of lines before it."""

    number: int
    begin: int
    end: int
    line: int


@dataclass
class DocumentStream:
    """Streams a `documents.jsonl`; `offset` (bytes) and `line`: the position after the last yielded document.

    `end`: the byte at which to stop, which must be the start of a line; None: the end of the file. Iterating raises
    ValueError, naming file and line, for an invalid line.
    """

    file: Path
    offset: int = 0
    line: int = 0
    end: int | None = None

    def __iter__(self) -> Iterator[Document]:
        with self.file.open("rb") as stream:
            stream.seek(self.offset)
            while (self.end is None or self.offset < self.end) and (text := stream.readline()):
                self.offset += len(text)
                self.line += 1
                try:
                    document = from_record(json.loads(text), f"{self.file.stem}:{self.line}")
                except ValueError as error:
                    raise ValueError(f"{self.file}:{self.line}: {error}") from None
                yield document
