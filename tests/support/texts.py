"""Reads text files as the stage `corpus` does."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from kepipe.data.document import Document
from kepipe.data.sources.folder import read_folders
from kg.problems import Problems


class Texts(NamedTuple):
    """The result: documents, problems, and messages."""

    documents: list[Document]
    problems: list[str]
    notes: list[str]

    @property
    def texts(self) -> list[str]:
        return [document.text for document in self.documents]


def read_texts(path: Path, documents: str = "auto") -> Texts:
    """The documents of a file or folder."""
    problems, notes = Problems(keep=100), list[str]()
    all_documents = list(read_folders([path], problems, notes.append, documents))
    return Texts(all_documents, [str(problem) for problem in problems.first], notes)


def write_and_read(folder: Path, name: str, content: str | bytes) -> Texts:
    """The documents of a file of this content."""
    file = folder / name
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_texts(file)
