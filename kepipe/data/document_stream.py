"""The documents of a file from a place on, so that whoever was interrupted reads none of them again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kepipe.data.document import Document
from kepipe.data.document_files import from_record


@dataclass
class DocumentStream:
    """Streams a `documents.jsonl`; `offset` (bytes) and `line` say how far it is, the document given last included.

    `end`: no document is given that begins at this byte or later; None: all are. Reading raises ValueError naming file
    and line where a line holds no document.
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
