"""Texts of files, unprocessed, for training a tokenizer."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kepipe.data.document_files import read_documents
from kg.regular_files import open_regular


@dataclass(frozen=True)
class TextFiles:
    """The texts of files, read again at each iteration: the documents of a .jsonl file, the lines of others."""

    files: tuple[Path, ...]

    def __iter__(self) -> Iterator[str]:
        for file in self.files:
            if file.suffix == ".jsonl":
                yield from (document.text for document in read_documents(file))
                continue
            with io.TextIOWrapper(open_regular(file), encoding="utf-8") as stream:
                try:
                    yield from (line.rstrip("\n") for line in stream)
                except UnicodeDecodeError as error:
                    raise ValueError(f"{file}: not a UTF-8 text file ({error})") from None
